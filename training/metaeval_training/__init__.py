"""Train and evaluate models: the engine behind the scripts in training/."""

import os

# torch reads this when it is imported. Threads that wait by spinning block cores that others need: on two busy cores, a
# step of the demo took 30 times as long as with sleeping threads.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
