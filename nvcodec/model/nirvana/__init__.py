"""The nirvana model: features moved from group to group, and their synthesis (spec 12, 13)."""
