"""Rate control: which crf each group is coded with, so that a file has a size, rate or quality.

In the order of the data; each of these imports only from those before it:

- steering: the crf of each group while groups are coded: constant, for a rate in one pass, or by
  a plan;
- plan: from what a pass has measured to the plan of the next;
- again: sources that are read more than once;
- samples: short runs of pictures of a source;
- search: the crf at which samples have a quality, or about a size;
- passes: passes over a source until the file is what was asked for.
"""
