"""The suites: each module has ``run(context) -> list[EvalRow]``."""
