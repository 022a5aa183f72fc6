"""The stacks: where a run happens. One file each; `choose` finds the one a user means."""
