"""The paper's machine, from its smallest layers to the loop over slabs."""
