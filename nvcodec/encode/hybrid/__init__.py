"""The encoder of the hybrid model (spec 7, 8): how pictures become coded groups.

From the picture on, each step imports only from those before it:

- pictures: planes of the coded size, and luma at half and a quarter of it;
- coarse, lookahead: motion between pictures, and how much later canvases inherit from each block;
- quantisers: crf and inheritance to a map of quantiser indices for each canvas;
- canvas_coder: one canvas to leaves, units and levels. motion_search says how the blocks of an
  inter canvas are predicted, residual which transform units of what is left over are coded, and
  intra_search both for intra leaves. They stand on tiles (SAD, SATD), phases (references at quarter
  samples), forward (transforms), quantise (one unit), costs (bits of syntax) and blocks;
  contexts makes those bits from adaptive contexts, effort says how much is tried;
- assemble: what was decided to the tables that the substreams are coded from;
- group: canvases to substreams, and back as a decoder does;
- coder: all groups of a video, as tasks that wait for each other.
"""
