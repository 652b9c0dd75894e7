"""Pictures that do not fit into memory: looked through once, then read a batch at a time.

- `seen_pictures`: what has to be known of all of them before a run begins, with the pixels left on the disk
- `ReadPictures`: rows of a list to their pixels, in any process
"""

from jaxd2l.data.own.streamed.reader import ReadPictures
from jaxd2l.data.own.streamed.seen import seen_pictures

__all__ = ["ReadPictures", "seen_pictures"]
