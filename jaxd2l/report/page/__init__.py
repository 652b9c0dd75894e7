"""Pages to look at: one HTML file each, with everything in it.

- `html`: markup that is escaped by construction; `style`: the looks; `picture`: arrays as pictures; `figures`: as text
- `curves`, `answers`, `inside`: the parts of a run's page
- `run`, `comparison`, `sweep`, `reproduce`, `houses`: a page for each kind of result
"""
