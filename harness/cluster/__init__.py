"""Virtual time past one machine: trials as tasks on the workers of a Dask scheduler."""
