"""The findings target: what scanners find, on which assets, with which proof."""
