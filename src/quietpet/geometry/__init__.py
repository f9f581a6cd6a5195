"""Where voxels, rings and lines of response are: scanners and image grids, axes written once."""
