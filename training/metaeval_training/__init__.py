"""Scripts that train the models; nothing imports them except their tests."""

import os

# Read when torch is loaded. Threads that wait by spinning take the cores that others need: measured on two busy cores,
# a step of the demo took 30 times as long as with threads that sleep.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
