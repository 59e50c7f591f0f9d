"""Flows as pictures: the blocks of a flow, as an outline, as Mermaid, as SVG."""
