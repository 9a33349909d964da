"""What is known of pictures before any is coded: motion, inheritance, groups, quantisers."""
