"""Pictures: flows as an outline, as Mermaid, as SVG; sizes of segments as SVG."""
