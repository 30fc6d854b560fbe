"""From a source to samples by index: data sets, partitions, pools."""
