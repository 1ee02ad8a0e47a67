"""How a code is designed: fitted to an activation function, searched for, held against bounds."""
