"""The words of Trivet: frozen values that pass from stage to stage, and their JSON. Standard library only."""
