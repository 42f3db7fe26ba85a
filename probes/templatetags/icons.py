"""The few icons the pages use, as SVG content on a 24 by 24 grid. Own drawings.

Each status level has its own shape, so that no meaning rests on colour alone.
"""

from __future__ import annotations

PATHS: dict[str, str] = {
    # status levels, filled
    "bad": (
        '<path d="M8.2 2.5h7.6l5.7 5.7v7.6l-5.7 5.7H8.2l-5.7-5.7V8.2z" fill="currentColor"'
        ' stroke="none"/><path class="na-cut" d="M9 9l6 6M15 9l-6 6"/>'
    ),
    "warn": (
        '<path d="M12 2.6l10 18.2H2z" fill="currentColor" stroke-width="1.5"/>'
        '<path class="na-cut" d="M12 9.5v5M12 17.8v.1"/>'
    ),
    "new": '<circle cx="12" cy="12" r="9"/><path d="M12 7v5l3.5 2"/>',
    "ok": (
        '<circle cx="12" cy="12" r="10" fill="currentColor" stroke="none"/>'
        '<path class="na-cut" d="M7.5 12.3l3.2 3.2 6-6.4"/>'
    ),
    "off": '<rect x="3" y="3" width="18" height="18" rx="4"/><path d="M8 12h8"/>',
    # things and acts
    "search": '<circle cx="10.5" cy="10.5" r="6.5"/><path d="M15.5 15.5L21 21"/>',
    "sun": (
        '<circle cx="12" cy="12" r="4"/><path d="M12 2v2M12 20v2M2 12h2M20 12h2M4.9 4.9l1.4 1.4'
        'M17.7 17.7l1.4 1.4M4.9 19.1l1.4-1.4M17.7 6.3l1.4-1.4"/>'
    ),
    "moon": '<path d="M20.5 14.2A8.6 8.6 0 1 1 9.8 3.5a7 7 0 0 0 10.7 10.7z"/>',
    "auto": (
        '<circle cx="12" cy="12" r="9"/>'
        '<path d="M12 3a9 9 0 0 1 0 18z" fill="currentColor" stroke="none"/>'
    ),
    "language": (
        '<circle cx="12" cy="12" r="9"/><path d="M3 12h18M12 3c2.8 2.6 4 5.6 4 9s-1.2 6.4-4 9'
        'c-2.8-2.6-4-5.6-4-9s1.2-6.4 4-9z"/>'
    ),
    "user": '<circle cx="12" cy="8" r="4"/><path d="M4.5 21c.8-4.2 3.6-6 7.5-6s6.7 1.8 7.5 6"/>',
    "chevron-down": '<path d="M6 9.5l6 6 6-6"/>',
    "chevron-left": '<path d="M14.5 6l-6 6 6 6"/>',
    "chevron-right": '<path d="M9.5 6l6 6-6 6"/>',
    "arrow-up": '<path d="M12 19V5M6.5 10.5L12 5l5.5 5.5"/>',
    "arrow-down": '<path d="M12 5v14M6.5 13.5L12 19l5.5-5.5"/>',
    "plus": '<path d="M12 5v14M5 12h14"/>',
    "close": '<path d="M6 6l12 12M18 6L6 18"/>',
    "refresh": '<path d="M20 11a8 8 0 0 0-14.6-3.5L4 9M4 4v5h5M4 13a8 8 0 0 0 14.6 3.5L20 15'
    'M20 20v-5h-5"/>',
    "play": '<path d="M7 4.5v15l12-7.5z"/>',
    "download": '<path d="M12 4v11M7 11l5 5 5-5M4 20h16"/>',
    "copy": (
        '<rect x="8" y="8" width="12" height="12" rx="2"/>'
        '<path d="M16 8V6a2 2 0 0 0-2-2H6a2 2 0 0 0-2 2v8a2 2 0 0 0 2 2h2"/>'
    ),
    "filter": '<path d="M4 5h16l-6 7.5V19l-4 2v-8.5z"/>',
    "history": '<path d="M4 5v4h4M4.5 9A8.5 8.5 0 1 1 3.5 13"/><path d="M12 8v4.5l3 1.5"/>',
    "server": (
        '<rect x="3.5" y="4" width="17" height="7" rx="2"/>'
        '<rect x="3.5" y="13" width="17" height="7" rx="2"/><path d="M7.5 7.5v.1M7.5 16.5v.1"/>'
    ),
    "plug": '<path d="M8 3v5M16 3v5M6 8h12v3a6 6 0 0 1-12 0zM12 17v4"/>',
    "info": '<circle cx="12" cy="12" r="9"/><path d="M12 8v.1M12 11.5v5"/>',
    "file": '<path d="M6 3h8l5 5v13H6zM14 3v5h5"/>',
    "edit": '<path d="M4 20l1-4.5L16.5 4 20 7.5 8.5 19zM14 6.5l3.5 3.5"/>',
    "key": '<circle cx="8" cy="15" r="4.5"/><path d="M11.2 11.8L20 3M16 7l3 3"/>',
    "fit": '<path d="M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5"/>',
    "globe": (
        '<circle cx="12" cy="12" r="9"/><path d="M3.5 9h17M3.5 15h17"/>'
        '<ellipse cx="12" cy="12" rx="4" ry="9"/>'
    ),
    "logo": (
        '<circle cx="5" cy="12" r="2.5" fill="currentColor" stroke="none"/>'
        '<circle cx="19" cy="5" r="2.5" fill="currentColor" stroke="none"/>'
        '<circle cx="19" cy="19" r="2.5" fill="currentColor" stroke="none"/>'
        '<path d="M7 11l10-5M7 13l10 5"/>'
    ),
}
