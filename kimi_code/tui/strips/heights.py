"""How many lines stand above each of many entries, while their heights change: a Fenwick tree."""

from collections.abc import Iterable


class Heights:
    """Heights in lines, by index; all of it in logarithmic time."""

    def __init__(self, heights: Iterable[int] = ()) -> None:
        self._heights = list(heights)
        # Fenwick (1994): node i holds the sum of the i & -i heights that end at i.
        self._tree = [0, *self._heights]
        for node in range(1, len(self._tree)):
            parent = node + (node & -node)
            if parent < len(self._tree):
                self._tree[parent] += self._tree[node]

    def __len__(self) -> int:
        return len(self._heights)

    def __getitem__(self, index: int) -> int:
        return self._heights[index]

    def append(self, height: int) -> None:
        """One more at the end."""
        self._heights.append(height)
        node = len(self._heights)
        self._tree.append(height + self.above(node - 1) - self.above(node - (node & -node)))

    def set(self, index: int, height: int) -> None:
        """Change one."""
        change = height - self._heights[index]
        if not change:
            return
        self._heights[index] = height
        node = index + 1
        while node < len(self._tree):
            self._tree[node] += change
            node += node & -node

    def above(self, index: int) -> int:
        """Lines before the entry; for the number of entries, all lines."""
        total = 0
        while index:
            total += self._tree[index]
            index -= index & -index
        return total

    @property
    def total(self) -> int:
        return self.above(len(self._heights))

    def find(self, y: int) -> tuple[int, int]:
        """The entry that line `y` belongs to, and which of its lines it is. Past the end: the last entry, past it."""
        node, left = 0, y
        step = 1 << len(self._tree).bit_length()
        while step:
            next_node = node + step
            if next_node < len(self._tree) and self._tree[next_node] <= left:
                node, left = next_node, left - self._tree[next_node]
            step >>= 1
        if node >= len(self._heights) > 0:
            return len(self._heights) - 1, left + self._heights[-1]
        return node, left
