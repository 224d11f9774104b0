"""The command line: reads what a person typed, calls one flow, shows what came of it. It decides nothing else."""
