"""What people ask of a cell, in many words, and what is answered."""
