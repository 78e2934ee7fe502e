"""XMP packets: attributes and texts by their names. Nothing that a packet says of its length is believed."""

from xml.etree import ElementTree

#: Namespaces whose names are kept, by what stands for them here.
_PREFIXES = {
    "http://ns.google.com/photos/1.0/depthmap/": "depth",
    "http://ns.google.com/photos/1.0/image/": "image",
    "http://ns.google.com/photos/1.0/container/item/": "item",
    "http://ns.google.com/photos/dd/1.0/depthmap/": "depth",
    "http://ns.google.com/photos/dd/1.0/item/": "item",
    "http://ns.apple.com/pixeldatainfo/1.0/": "apple",
    "http://ns.apple.com/depthData/1.0/": "apple",
    "http://ns.apple.com/HDRGainMap/1.0/": "gain",
    "http://ns.adobe.com/hdr-gain-map/1.0/": "gain",
    "http://ns.adobe.com/xmp/note/": "note",
}

Facts = dict[str, str]  # "depth:Near" → "0.5"


def parse(packet: bytes) -> list[Facts]:
    """Read a packet: for each element that has any, its own attributes and simple children of the known namespaces.

    Raises:
        ValueError: it is no XML, or declares entities, which XMP has no use for.
    """
    packet = packet.strip(b"\0 \r\n\t\xef\xbb\xbf")
    if b"\0" in packet:
        raise ValueError("its XMP is not in UTF-8, as that of a photograph is")
    if b"<!DOCTYPE" in packet or b"<!ENTITY" in packet:
        raise ValueError("its XMP declares entities; expected none")
    try:
        root = ElementTree.fromstring(packet)
    except (ElementTree.ParseError, ValueError, LookupError, RecursionError) as error:
        raise ValueError(f"its XMP cannot be read ({error})") from None
    return [facts for element in root.iter() if (facts := _facts(element))]


def merged(descriptions: list[Facts], prefix: str) -> Facts:
    """All that a packet says under one prefix, without the prefix; what is said first counts."""
    found: Facts = {}
    for facts in descriptions:
        for name, value in facts.items():
            if name.startswith(prefix + ":"):
                found.setdefault(name.partition(":")[2], value)
    return found


def _facts(element: ElementTree.Element) -> Facts:
    pairs = [*element.attrib.items(), *((child.tag, child.text or "") for child in element if not len(child))]
    return {name: value for tag, value in pairs if (name := _name(tag))}


def _name(tag: str) -> str:
    space, _, local = str(tag).removeprefix("{").rpartition("}")
    return f"{_PREFIXES[space]}:{local}" if space in _PREFIXES else ""
