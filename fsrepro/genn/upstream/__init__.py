"""Few-spikes networks of any code, as mlGeNN could have them; `PULL_REQUEST.md` says what is new.

Needs nothing but mlGeNN, pygenn and NumPy. ``tables`` says what a code is; ``few_spike`` has
neurons of any tables, pairs of them, somas with several dendrites, ``word`` neurons with graded
spikes, ``membrane`` outputs; ``decode`` and ``connectivity`` the synapses, with shared kernels;
``compiler`` the compiler.
"""
