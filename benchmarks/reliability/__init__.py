"""What is left after kills, errors of the disk, power loss and races: `make reliability`."""
