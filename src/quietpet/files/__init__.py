"""Files of our own: written whole or not at all, and refused when they are not whole."""
