"""What all networks here are: functional Keras models of a few kinds of layers.

``kinds`` lists the layers, ``nonlinearity`` is the activation layer, ``population`` the neurons in
its place; ``graph`` walks and rewrites networks, ``self_check`` holds one against another.
"""
