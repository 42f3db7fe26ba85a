"""Ways to run one command on one machine: locally, or over SSH.

Place in the data's way: Target + Command in, CommandResult out. The only package that imports
paramiko. It knows neither Django nor what the output means.
"""
