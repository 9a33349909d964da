"""The nirvana model: features of patches, moved from group to group, and their synthesis (spec 12, 13)."""
