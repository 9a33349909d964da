"""The encoder of the hybrid model (spec 7, 8, 9): how pictures become coded groups.

In the order of the data; each of these imports only from those before it:

- rate: the bits of syntax under given contexts; every lambda (tradeoff);
- analysis: the planes of a picture and its smaller luma (pyramid); motion between pictures
  (coarse); how pictures depend on each other (lookahead); what later canvases inherit from each
  block (weights); where groups end (lengths); crf to quantiser indices (quantisers);
- search: decides the leaves (coding blocks) and units (transform blocks) of one canvas. `partition`
  is the recursive search. `key_canvas`, `inter_canvas` and `transform_tree` use it. Each inter tool
  is a file that offers candidates: merge, vectors, bi. `intra` decides intra leaves;
- assemble: turns decisions into the tables that the substreams are coded from;
- canvas: codes one canvas (reference picture), from its picture and references to its tables and
  its reconstruction;
- group: codes the canvases of a group into substreams, and decodes them again;
- fusion: what a group does with the fusion network, and the training of the weights it may change;
- video: codes all groups of a video, as tasks that wait for each other.

`effort` says how much a preset tries, `tools` which tools an encode uses, `distances` measures how
far apart two blocks are (SAD, SATD).
"""
