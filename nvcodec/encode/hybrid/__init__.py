"""The encoder of the hybrid model (spec 7, 8, 9): how pictures become coded groups.

From the picture on, each room imports only from those before it:

- rate: bits of syntax from contexts, and `tradeoff`, which says what a bit is worth;
- analysis: a picture's planes and its smaller luma (pyramid); motion between pictures (coarse);
  what later canvases inherit from each block (lookahead); where groups end (lengths); crf to
  quantiser indices (quantisers);
- search: one canvas to leaves and units. `partition` walks over blocks; `key_canvas` and
  `inter_canvas` are its two uses, `transform_tree` the third. Each prediction tool is a file that
  offers candidates: merge, vectors, bi; `intra` decides intra leaves;
- assemble: what was decided, as the tables that the substreams are coded from;
- canvas: one canvas, from its picture and references to its tables and what they reconstruct;
- group: canvases to substreams, and back as a decoder does;
- fusion: what a group does with the fusion network, and training of its part;
- video: all groups of a video, as tasks that wait for each other.

`effort` says how much a preset tries, `tools` which tools an encode uses, `distances` how far two
blocks are apart.
"""
