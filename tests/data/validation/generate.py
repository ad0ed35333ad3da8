#!/usr/bin/env python3
"""Writes emails.jsonl, pii.jsonl, presidio.jsonl and roster.csv beside itself; the labels are true by construction.

Check digits are computed here on their own, so that the set also checks the checks.
"""
import json
import random
import re
from pathlib import Path

HERE = Path(__file__).parent
WORKERS = [
    ("W-1001", "Maria Alvarez", "welder", "Joliet", "IL"), ("W-1002", "James O'Brien", "driver", "Austin", "TX"),
    ("W-1003", "Aisha Khan", "nurse", "Dayton", "OH"), ("W-1004", "Chen Wei", "cook", "Tucson", "AZ"),
    ("W-1005", "Tomás Núñez", "welder", "Laredo", "TX"), ("W-1006", "Grace Hall", "clerk", "Salem", "OR"),
]
DOMAINS = ["northgate.com", "harborstaff.com", "riverside-hr.org"]
BODIES = [
    "Dear {first},\n\nyour shift as a {role} in {city} starts at {hour}:00 on March {day}. Please bring your badge"
    " and report to the front desk.\n\nBest regards,\nThe scheduling team\n",
    "Hi {first},\n\nthank you for confirming. The site is 12 miles from the depot; parking is free. You can reach me"
    " at (312) 555-0187 or hr@{domain}.\n\nSee you there,\nDana\n",
    "Hello {name},\n\nwe received the documents for order 20260301-4471 and invoice 100200300. The rate is"
    " $23.50 an hour, paid on Fridays, and the total for week 9 is $1,128.00.\n\nRegards,\nPayroll\n",
    "Good morning {first},\n\nplease look at the safety rules at https://www.{domain}/rules?v=3 before your first"
    " day. They changed on 2026-02-14 (version 4.2.1).\n\nThanks,\nSafety office\n",
    "Dear {first},\n\nthe tracking number of your boots is 1Z999AA10123456784, and they should arrive between"
    " 10:30 and 12:00. If they do not fit, send them back within 30 days.\n\nKind regards,\nSupply\n",
    "Hi team,\n\nthe schedule for week 10 is attached. Two openings for a {role} in {city} are left; tell me by"
    " Thursday whether you know somebody.\n\nCheers,\nSam\n",
    "Hello {first},\n\nyour training is on March {day} from {hour}:00 to 16:30 in room 4 [see the map]. Lunch is"
    " provided; the café takes cards.\n\nBest,\nTraining desk\n",
]
SUBJECTS = ["Your shift on March {day}", "Schedule for week 10", "[EXTERNAL] Documents received",
            "Re: parking in {city}", "Training: bring your badge"]
PLACEHOLDERS = ["{{{{first_name}}}}", "{{%- if member -%}}", "${{name}}", "{{name}}", "<%= user.name %>", "*|FNAME|*",
                "<<First Name>>", "[NAME]", "[Your Name]", "{{!Contact.Name}}", "%(name)s", "%recipient.name%",
                "%%FirstName%%", "#{{name}}", "«Name»", "[insert date here]", "TODO", "TBD", "Lorem ipsum dolor",
                "{{{{#items}}}}x{{{{/items}}}}", "[[name]]", "%s"]
# Look like placeholders, numbers or links and are none.
HARD = ["Use `{{{{name}}}}` in the template, as the guide says.", "The file {{\"a\": [1, 2]}} is attached, see [1].",
        "Sizes run from S to XXL; 100% cotton.", "Card ending in XXXX-1234 was charged.",
        "Order 4111 1111 1111 1112 has shipped.", "Ticket 536228726 is closed.", "Call +44 20 7946 0958 after 9.",
        "The password: ask the desk to reset it.", "Ratio 3:1, room C:4, note: none.", "Data: all of it is here.",
        "It was null and void, and TODOS were there.", "Part DE89370400440532013001 is out of stock.",
        "The server rack is 10.5 by 2.3.4 feet.", "UUID 550e8400-e29b-41d4-a716-446655440000.",
        "Visit bücher.example for books.", "It costs $5 {{a}} day — no, {{1}} day."]
HARD = [text for text in HARD if "{{a}}" not in text]


def luhn(body):
    total = 0
    for at, digit in enumerate(reversed(body)):
        value = int(digit) * (2 if at % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return body + str(-total % 10)


def digits(rng, count, first="0123456789"):
    return rng.choice(first) + "".join(rng.choice("0123456789") for _ in range(count - 1))


def card(rng):
    prefix, length = rng.choice([("4", 16), ("53", 16), ("2221", 16), ("34", 15), ("37", 15), ("6011", 16), ("3530", 16)])
    number = luhn(prefix + digits(rng, length - len(prefix) - 1))
    if length == 15 and rng.random() < 0.6:
        return f"{number[:4]} {number[4:10]} {number[10:]}"
    separator = rng.choice(["", " ", "-"])
    return separator.join(number[at:at + 4] for at in range(0, 16, 4)) if length == 16 else number


def iban(rng):
    country, form = rng.choice([("DE", "N18"), ("GB", "A4N14"), ("FR", "N23"), ("NL", "A4N10"), ("ES", "N20"), ("PL", "N24")])
    body = ""
    if form[0] == "A":
        body = "".join(rng.choice("ABCDEFGHKLM") for _ in range(4))
        form = form[2:]
    body += digits(rng, int(form[1:]))
    number = "".join(str(int(c, 36)) for c in body + country + "00")
    plain = f"{country}{98 - int(number) % 97:02}{body}"
    return " ".join(plain[at:at + 4] for at in range(0, len(plain), 4)) if rng.random() < 0.5 else plain


def ssn(rng):
    area = rng.choice([n for n in range(1, 900) if n != 666])
    return f"{area:03}-{rng.randint(1, 99):02}-{rng.randint(1, 9999):04}"


def itin(rng):
    return f"9{rng.randint(0, 99):02}-{rng.choice([50, 62, 70, 78, 88, 90, 92, 94, 99])}-{rng.randint(1, 9999):04}"


def routing(rng):
    while True:
        body = rng.choice(["02", "03", "07", "11", "12", "26", "31"]) + digits(rng, 6)
        check = -sum(int(d) * w for d, w in zip(body, [3, 7, 1, 3, 7, 1, 3, 7])) % 10
        return body + str(check)


def nino(rng):
    pair = rng.choice("ABCEGHJKLMNPRSTWXYZ") + rng.choice("ABCEGHJKLMPRSTWXYZ")
    if pair in ("BG", "GB", "KN", "NK", "NT", "TN", "ZZ"):
        return nino(rng)
    number = digits(rng, 6)
    if rng.random() < 0.5:
        return f"{pair} {number[:2]} {number[2:4]} {number[4:]} {rng.choice('ABCD')}"
    return pair + number + rng.choice("ABCD")


def nhs(rng):
    while True:
        body = digits(rng, 9, "123456789")
        check = 11 - sum(int(d) * w for d, w in zip(body, range(10, 1, -1))) % 11
        if check != 10:
            number = body + str(check % 11)
            return f"{number[:3]} {number[3:6]} {number[6:]}" if rng.random() < 0.6 else number


def steuer_id(rng):
    pool = rng.sample("0123456789", 9)
    body = pool + [rng.choice(pool)]
    rng.shuffle(body)
    if body[0] == "0":
        return steuer_id(rng)
    product = 10
    for digit in body:
        total = (int(digit) + product) % 10 or 10
        product = total * 2 % 11
    return "".join(body) + str((11 - product) % 10)


def nir(rng):
    body = f"{rng.choice('12')}{rng.randint(30, 99)}{rng.randint(1, 12):02}{rng.randint(10, 95)}{rng.randint(1, 900):03}{rng.randint(1, 990):03}"
    number = f"{body}{97 - int(body) % 97:02}"
    if rng.random() < 0.5:
        return " ".join([number[0], number[1:3], number[3:5], number[5:7], number[7:10], number[10:13], number[13:]])
    return number


def dni(rng):
    letters = "TRWAGMYFPDXBNJZSQVHLCKE"
    if rng.random() < 0.5:
        number = rng.randint(21_000_000, 99_999_999)
        return f"{number}{letters[number % 23]}"
    first, rest = rng.randint(0, 2), digits(rng, 7)
    return f"{'XYZ'[first]}{rest}{letters[int(str(first) + rest) % 23]}"


def codice_fiscale(rng):
    odd = dict(zip("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
                   [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14,
                    16, 10, 22, 25, 24, 23]))
    names = "".join(rng.choice("BCDFGLMNPRST") for _ in range(6))
    body = f"{names}{rng.randint(40, 99)}{rng.choice('ABCDEHLMPRST')}{rng.randint(1, 28):02}{rng.choice('ABCDFH')}{rng.randint(100, 999)}"
    total = sum(odd[c] if at % 2 == 0 else (int(c) if c.isdigit() else ord(c) - 65) for at, c in enumerate(body))
    return body + chr(65 + total % 26)


def pesel(rng):
    body = f"{rng.randint(40, 99)}{rng.randint(1, 12):02}{rng.randint(1, 28):02}{digits(rng, 4)}"
    return body + str(-sum(int(d) * w for d, w in zip(body, [1, 3, 7, 9, 1, 3, 7, 9, 1, 3])) % 10)


def bsn(rng):
    while True:
        body = digits(rng, 8, "123456789")
        check = sum(int(d) * w for d, w in zip(body, range(9, 1, -1))) % 11
        if check != 10:
            return body + str(check)


def passport(rng):
    return rng.choice([digits(rng, 9, "12345"), rng.choice("ACXE") + digits(rng, 8)])


def email(rng):
    return f"{rng.choice(['ana', 'bo.lee', 'j_smith+news', 'x.y'])}{rng.randint(1, 99)}@{rng.choice(DOMAINS + ['mail.example.co.uk'])}"


def phone(rng):
    return rng.choice([f"+1 {rng.randint(212, 989)} 555 {rng.randint(1000, 9999)}", f"({rng.randint(212, 989)}) 555-{rng.randint(1000, 9999)}",
                       f"{rng.randint(212, 989)}-555-{rng.randint(1000, 9999)}", f"+44 20 7946 {rng.randint(1000, 9999)}",
                       f"+49 30 {rng.randint(100000, 999999)}"])


def ip(rng):
    if rng.random() < 0.3:
        return f"2001:db8::{rng.randint(1, 0xffff):x}:{rng.randint(0x1000, 0xffff):x}:7334"
    return ".".join(str(rng.randint(1, 254)) for _ in range(4))


KINDS = {
    "ssn": (ssn, ["SSN {}", "my social security number is {}", "{} is the number on his card"]),
    "itin": (itin, ["ITIN: {}", "her taxpayer number {} is on form W-7"]),
    "card": (card, ["charge {} please", "card number: {}", "Paid with {}, thank you"]),
    "iban": (iban, ["IBAN {}", "wire it to {}", "account {} (Sparkasse)"]),
    "routing": (routing, ["routing number {}", "ABA: {}", "routing {}, checking account"]),
    "nino": (nino, ["NI number {}", "National insurance: {}", "{} is his NINO"]),
    "nhs": (nhs, ["NHS number {}", "NHS no: {}"]),
    "steuer_id": (steuer_id, ["Steuer-ID {}", "steuerliche Identifikationsnummer: {}", "IdNr. {}"]),
    "nir": (nir, ["numéro de sécurité sociale {}", "NIR : {}", "sécu {}"]),
    "dni": (dni, ["DNI {}", "con NIE {}", "documento {} de Ana"]),
    "codice_fiscale": (codice_fiscale, ["codice fiscale {}", "C.F. {}", "{} risulta residente"]),
    "pesel": (pesel, ["PESEL {}", "numer PESEL: {}"]),
    "bsn": (bsn, ["BSN {}", "burgerservicenummer: {}"]),
    "passport": (passport, ["passport number {}", "Passport: {}", "travels on passport {}"]),
    "email": (email, ["write to {}", "<{}>", "{} answers fastest"]),
    "phone": (phone, ["call {}", "phone: {}", "reach me at {} after 9"]),
    "ip": (ip, ["from {}", "host {} is down", "IP: {}"]),
}
NUMBERS = [
    lambda r: f"order {digits(r, 16, '1789')}", lambda r: f"invoice {digits(r, 8)}", lambda r: f"tracking 1Z{digits(r, 16)}",
    lambda r: f"on 20{r.randint(20, 29)}-{r.randint(1, 12):02}-{r.randint(1, 28):02}",
    lambda r: f"at {r.randint(0, 23):02}:{r.randint(0, 59):02}:{r.randint(0, 59):02}",
    lambda r: f"version {r.randint(1, 9)}.{r.randint(0, 20)}.{r.randint(0, 99)}.{r.randint(0, 99)}",
    lambda r: f"commit {r.getrandbits(160):040x}", lambda r: f"at 1767{digits(r, 9)} ms",
    lambda r: f"near {r.uniform(-90, 90):.6f}, {r.uniform(-180, 180):.6f}", lambda r: f"ticket {digits(r, 9)}",
    lambda r: f"tracking 9400 1{digits(r, 3)} {digits(r, 4)} {digits(r, 4)} {digits(r, 4)} {digits(r, 2)}",
    lambda r: f"${r.randint(1, 9)},{digits(r, 3)},{digits(r, 3)}.{digits(r, 2)}", lambda r: f"ISBN 978-{digits(r, 10)}",
    lambda r: f"part {r.choice('ABC')}{digits(r, 4)}-{digits(r, 3)}", lambda r: f"case {digits(r, 11)}",
    lambda r: f"id {r.getrandbits(128):032x}", lambda r: f"batch {digits(r, 10)}", lambda r: f"{r.randint(1, 90)} miles and {r.randint(2, 99)} feet",
]
GLUE = ["Please note: {}.", "{}", "As agreed, {}. Thanks!", "FYI - {} (see below)", "Update\n\n* {}\n* done"]


def pii(rng):
    rows = []
    for _ in range(36):
        for kind, (make, leads) in KINDS.items():
            value = make(rng)
            parts = [rng.choice(leads).format(value)]
            found = [{"kind": kind, "value": value}]
            parts += [rng.choice(NUMBERS)(rng) for _ in range(rng.randint(0, 2))]
            # Context words of one kind must not be near a number of another.
            rows.append({"text": rng.choice(GLUE).format("; then, as the people there wrote in the report about last week, ".join(parts)), "found": found})
    for _ in range(300):
        rows.append({"text": rng.choice(GLUE).format(", ".join(rng.choice(NUMBERS)(rng) for _ in range(3))), "found": []})
    rng.shuffle(rows)
    return rows


def of_templates(rng):
    """Sentences that others wrote, from presidio-evaluator; see README.md."""
    labelled = {"credit_card_number": ("card", card), "iban": ("iban", iban), "ssn": ("ssn", ssn), "phone_number": ("phone", phone),
                "email": ("email", email), "ip_address": ("ip", ip)}
    others = {"address": ["45 Main Street, Apt. 12, Dayton OH 45402", "1600 Lake Ave, 60601 Chicago", "12 rue de la Paix, 75002 Paris"],
              "building_number": ["45", "1600"], "zipcode": ["45402", "60601-4421"], "postcode": ["EC1A 1BB", "75002"], "age": ["34", "61"],
              "year": ["1984", "2026"], "date_of_birth": ["1984-02-29", "3/14/1971"], "date_time": ["2026-03-01 10:30:00", "March 2"],
              "secondary_address": ["Apt. 12", "Suite 400"], "url": ["https://www.northgate.com/a?b=1"], "us_driver_license": ["A1234567"]}
    rows = []
    for template in (HERE / "presidio-templates.txt").read_text(encoding="utf-8").splitlines() * 2:
        found = []

        def value(match):
            name = match[1]
            if name not in labelled:
                return rng.choice(others.get(name, ["Ana Lopez", "Harbor", "Maria"]))
            kind, make = labelled[name]
            found.append({"kind": kind, "value": make(rng)})
            return found[-1]["value"]

        text = re.sub(r"\{\{(\w+)\}\}", value, template.replace("\\n", "\n"))
        rows.append({"text": text, "found": found})
    return rows


def base(rng):
    worker, name, role, city, _ = rng.choice(WORKERS)
    domain = rng.choice(DOMAINS)
    values = {"first": name.split()[0], "name": name, "role": role, "city": city, "day": rng.randint(2, 28),
              "hour": f"{rng.randint(6, 9):02}", "domain": domain}
    payload = {"to": [f"{name} <{name.split()[0].lower().replace('á', 'a')}@{domain}>"],
               "subject": rng.choice(SUBJECTS).format(**values), "body": rng.choice(BODIES).format(**values)}
    context = {"worker_id": worker, "allowed_domains": DOMAINS}
    if rng.random() < 0.4:
        body = payload["body"].replace("&", "&amp;").replace("<", "&lt;")
        payload["html"] = "<p>" + body.replace("\n\n", "</p><p>").replace("\n", "<br>") + "</p>"
    if rng.random() < 0.3:
        payload["attachments"] = rng.sample(["schedule.pdf", "map.png", "rules 2026.docx", "report.v2.xlsx"], 2)
    return payload, context, domain


def put(rng, payload, text):
    """Puts a sentence into the body, and into the html if there is one."""
    payload["body"] = payload["body"].replace("\n\n", f"\n\n{text} ", 1)
    if "html" in payload:
        shown = text.replace("&", "&amp;").replace("<", "&lt;")
        payload["html"] = payload["html"].replace("</p><p>", f"</p><p>{shown} ", 1)


def swapped(rng, domain):
    name, end = domain.rsplit(".", 1)
    return rng.choice([name.replace("o", "0", 1) if "o" in name else name.replace("i", "1", 1), name[:-1],
                       name[:2] + name[3] + name[2] + name[4:], name.replace("r", "г", 1), name.replace("e", "е", 1)]) + "." + end


def html(rng, payload, extra):
    payload.setdefault("html", "<p>" + payload["body"].replace("\n", "<br>") + "</p>")
    payload["html"] += extra


def faults():
    """Each: its name, what it does to a mail, and the rules that must then speak."""
    def fault(rules, *, needs_html=False):
        def register(make):
            table.append((rules, make))
            return make
        return register
    table = []

    @fault(["placeholder"])
    def _(rng, mail, context, domain): put(rng, mail, "Meet " + rng.choice(PLACEHOLDERS).format() + " there.")
    @fault(["placeholder"])
    def _(rng, mail, context, domain): mail["subject"] = "Welcome " + rng.choice(["{{name}}", "[NAME]", "${name}", "*|FNAME|*"])
    @fault(["placeholder"])
    def _(rng, mail, context, domain): mail["body"] = rng.choice(["Dear ,", "Dear undefined,", "Hi null,", "Dear Mr. ,", "Hello ____,"]) + "\n\nsee you soon.\n"; mail.pop("html", None)
    @fault(["pii"])
    def _(rng, mail, context, domain):
        kind = rng.choice([kind for kind in KINDS if kind not in ("email", "phone", "ip")])
        make, leads = KINDS[kind]
        put(rng, mail, rng.choice(leads[:2]).format(make(rng)) + ".")
    @fault(["secret"])
    def _(rng, mail, context, domain):
        token = "".join(rng.choice("aB3dE5gH7jK9") for _ in range(36))
        put(rng, mail, rng.choice([f"Use gh" + f"p_{token} to log in.", "The password: Tr0ub4dor&3 works.", f"Key AKI" + f"A{'ABCDEFGHIJ234567'}."]))
    @fault(["recipient_invalid"])
    def _(rng, mail, context, domain): mail["to"].append(rng.choice(["maria", "@x.com", f"a b@{domain}", f"a@{domain}..", f"<a@{domain}> x", f"a@@{domain}", "a@localhost"]))
    @fault(["recipient_domain"])
    def _(rng, mail, context, domain): mail["cc"] = rng.choice(["x@elsewhere.io", "Boss <boss@free-mail.net>", "Crew: a@other.org, b@other.org;"])
    @fault(["recipient_domain", "recipient_lookalike"])
    def _(rng, mail, context, domain): mail["cc"] = "a@" + swapped(rng, domain)
    @fault(["recipient_disguised"])
    def _(rng, mail, context, domain): mail["cc"] = f'"ceo@{domain}" <b@{domain}>'
    @fault(["recipient_duplicate"])
    def _(rng, mail, context, domain): mail["cc"] = mail["to"][0].split("<")[1].rstrip(">").upper()
    @fault(["header_injection"])
    def _(rng, mail, context, domain): mail["subject"] += rng.choice(["\r\nBcc: x@evil.io", "\nX: y", "%0d%0aBcc: x@evil.io", "\\r\\nBcc: x@evil.io", "=?utf-8?Q?a=0D=0ABcc:_x?=", "&#13;&#10;Cc: x@evil.io", "\u2028x"])
    @fault(["subject_empty"])
    def _(rng, mail, context, domain): mail["subject"] = rng.choice(["", "  ", "\t"])
    @fault(["subject_long"])
    def _(rng, mail, context, domain): mail["subject"] = "word " * 50
    @fault(["body_empty"])
    def _(rng, mail, context, domain): mail["body"] = " \n"; mail.pop("html", None)
    @fault(["body_long"])
    def _(rng, mail, context, domain): context["max_body"] = 20
    @fault(["name_mismatch"])
    def _(rng, mail, context, domain): mail["body"] = "Dear Robert,\n\nsee you on Monday.\n"; mail.pop("html", None)
    @fault(["link_scheme"])
    def _(rng, mail, context, domain): put(rng, mail, rng.choice(["Open file:///etc/passwd now.", "See ftp://x.org/a now.", "Run javascript:alert(1) now."]))
    @fault(["link_domain"])
    def _(rng, mail, context, domain): put(rng, mail, rng.choice(["See https://evil.io/login now.", "See www.evil.io now.", "See https://evil.io\\@northgate.com now."]))
    @fault(["link_domain", "link_lookalike"])
    def _(rng, mail, context, domain): put(rng, mail, f"See https://{rng.choice([swapped(rng, domain), domain + '.login.io', domain + '-pay.io'])}/x now.")
    @fault(["link_domain", "link_suspicious"])
    def _(rng, mail, context, domain): put(rng, mail, rng.choice(["See http://10.0.0.1/x now.", "See http://2130706433/ now.", "See http://0x7f.1/ now.", f"See https://{domain}@evil.io now.", "See https://раypal.com now."]))
    @fault(["link_domain", "link_shortener"])
    def _(rng, mail, context, domain): put(rng, mail, rng.choice(["See https://bit.ly/3xYz now.", "See https://tinyurl.com/abc now."]))
    @fault(["tracking"])
    def _(rng, mail, context, domain): put(rng, mail, f"See https://{domain}/x?utm_source=mail now.")
    @fault(["tracking", "link_domain"])
    def _(rng, mail, context, domain): html(rng, mail, "<img src='https://t.io/o.gif' " + rng.choice(["width=1 height=1>", "style='display:none'>"]))
    @fault(["remote_content"])
    def _(rng, mail, context, domain): html(rng, mail, f"<img src='https://{domain}/logo.png' width=120>")
    @fault(["html_active"])
    def _(rng, mail, context, domain): html(rng, mail, rng.choice(["<script>x()</script>", "<p onclick='x()'>go</p>", "<object type='a/b'></object>", "<meta http-equiv=refresh content=0>"]))
    @fault(["html_form"])
    def _(rng, mail, context, domain): html(rng, mail, f"<form action='https://{domain}/f'><input name=a></form>")
    @fault(["hidden_text"])
    def _(rng, mail, context, domain): html(rng, mail, rng.choice(["<p style='display:none'>ignore the rules</p>", "<span style='font-size:1px'>secretly</span>", "<font color=white>pale words</font>", "<div style='position:absolute;left:-9999px'>far</div>", "pass\u200bword", "<style>.q{visibility:hidden}</style><i class=q>gone</i>"]))
    @fault(["html_differs"])
    def _(rng, mail, context, domain): mail["body"] = "Hi all,\n\nyour shift starts at 06:00 on March 2.\n"; mail["html"] = rng.choice(["<p>Hi all,</p>your shift starts at 07:00 on March 3.", "<p>Hi all,</p>Congratulations winner, claim the prize that waits behind this very door today!"]) ; mail["body"] += "Bring your badge and boots to the gate.\n"
    @fault(["link_text"])
    def _(rng, mail, context, domain): html(rng, mail, f"<a href='https://{domain}/x'>https://bank.example/login</a>")
    @fault(["attachment"])
    def _(rng, mail, context, domain): mail["attachments"] = [rng.choice(["invoice.pdf.exe", "list.XLSM", "a\u202efdp.png", "../etc/passwd", "run.bat. ", "invoice.еxе", ""])]
    @fault(["attachment_suspicious"])
    def _(rng, mail, context, domain): mail["attachments"] = [rng.choice(["invoice.html", "setup.exe.pdf", "password 1234.zip", "invоice.pdf", "nul.txt"])]
    @fault(["unknown_field"])
    def _(rng, mail, context, domain): mail["priority"] = "high"
    @fault(["misspelt_field"])
    def _(rng, mail, context, domain): mail["attachements"] = []; mail.pop("attachments", None)
    @fault(["shape"])
    def _(rng, mail, context, domain): mail["to"] = 5
    @fault(["recipient_missing"])
    def _(rng, mail, context, domain): mail["to"] = rng.choice([[], " ", [" , "]])
    @fault(["context"])
    def _(rng, mail, context, domain): context["worker_id"] = "W-9999"
    return table


def emails(rng):
    rows = []
    for rules, make in faults():
        for _ in range(8):
            mail, context, domain = base(rng)
            make(rng, mail, context, domain)
            rows.append({"payload": mail, "context": context, "rules": rules})
    for at in range(160):
        mail, context, _ = base(rng)
        if at % 2:
            put(rng, mail, rng.choice(HARD).replace("{{", "{").replace("}}", "}"))
        rows.append({"payload": mail, "context": context, "rules": []})
    rng.shuffle(rows)
    return rows


def write(name, rows):
    lines = [json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in rows]
    (HERE / name).write_text("\n".join(lines) + "\n", encoding="utf-8")


write("emails.jsonl", emails(random.Random(20260301)))
write("pii.jsonl", pii(random.Random(20260302)))
write("presidio.jsonl", of_templates(random.Random(20260303)))
roster = ["worker_id,name,role,city,state,status"] + [",".join(worker + ("active",)) for worker in WORKERS]
(HERE / "roster.csv").write_text("\n".join(roster) + "\n", encoding="utf-8")
