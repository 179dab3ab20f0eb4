"""Questions with known answers, as tables; answers are facts of the sources named there."""
