"""Charts of our own: `plot` turns values into a `drawing` on a `scale`, which `svg` and `png` write."""
