"""The commands: a module each, with its help as docstring, its flags, and `main(arguments)`."""
