"""The folder that `coldstart guest-path` prints: one module, for an application's PYTHONPATH."""
