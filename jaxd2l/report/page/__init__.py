"""Pages to look at: one HTML file each, with everything in it.

- `html`: markup that is escaped by construction; `style`: the looks
- `scale`, `drawing`, `chart`: values to marks; `svg`, `png`: marks to files; `picture`: arrays to pictures
- `curves`, `answers`, `inside`: the parts of a run's page
- `run`, `comparison`, `sweep`, `reproduce`, `houses`: a page for each kind of result
"""
