"""Conversations as Jinja2 writes them with the settings of transformers' chat templates.

    pip install -r tools/requirements-chat.txt
    python tools/make_chat_fixtures.py [DIRECTORY]

Writes tests/text/data/chat_templates.json: small templates of our own with their text; and the text alone for the
templates of real models (*.jinja) in DIRECTORY.
"""

import datetime
import json
import pathlib
import sys

import jinja2.ext
import jinja2.sandbox

NOW = datetime.datetime(2025, 3, 9, 12, 0, 0)

TEMPLATES = {
    "chatml": "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + "
              "'<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
    "blocks": """{{- bos_token }}
{%- if messages[0]['role'] == 'system' %}
    {%- set system = messages[0]['content'] | trim %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set system = 'Date: ' ~ strftime_now('%d %b %Y') %}
    {%- set loop_messages = messages %}
{%- endif %}
<<SYS>>
{{ system }}
{% for message in loop_messages %}
    {% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}
        {{ raise_exception('roles must alternate, found ' + message.role) }}
    {% endif %}
    {# the first turn differs #}
    {% if loop.first %}
[INST] {{ message.content | replace('\\n', ' ') }} [/INST]
    {% elif loop.last %}
[LAST] {{ message.content | upper }}
    {% else %}
{{ message.content | tojson }}{{ eos_token }}
    {% endif %}
{% endfor %}
""",
    "functions": """{%- macro turn(role, content) -%}
<{{ role }}>{{ content.strip() }}</{{ role }}>
{%- endmacro -%}
{%- set ns = namespace(found=false, count=0) -%}
{%- for m in messages -%}
{%- set ns.count = ns.count + 1 -%}
{%- if m.role is defined and m.role in ['user', 'assistant'] and not ns.found -%}
{%- set ns.found = true -%}
{%- endif -%}
{{ turn(m.role, m.content.split('\\n')[-1]) }}
{%- if '</think>' in m.content %}{{ m.content.split('</think>')[-1].lstrip('\\n') }}{% endif -%}
{%- endfor -%}
{{ '|' ~ ns.count ~ '|' if ns.found else 'none' }}{{ messages | length }}{{ messages | map(attribute='role') | join(',') }}
{%- if tools is none %} no tools{% endif %}{{ nothing | default('x') }}
""",
}

CONVERSATIONS = {
    "one": [{"role": "user", "content": "Hello, world\nhow are you?"}],
    "system": [{"role": "system", "content": "  Be brief. \n"}, {"role": "user", "content": "Grüße, \"you\" & <b>"},
               {"role": "assistant", "content": "<think>\nhm\n</think>\n\nHi \u4e16\u754c"},
               {"role": "user", "content": "{{ 7 * 7 }} {% raw %} \\n"}],
    "wrong": [{"role": "assistant", "content": "I begin"}, {"role": "user", "content": "No"}],
}


def render(source, messages, add_generation_prompt=True):
    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[jinja2.ext.loopcontrols])
    environment.filters["tojson"] = lambda value, indent=None: json.dumps(value, ensure_ascii=False, indent=indent)
    environment.globals["raise_exception"] = raise_exception
    environment.globals["strftime_now"] = NOW.strftime
    return environment.from_string(source).render(
        messages=messages, tools=None, documents=None, add_generation_prompt=add_generation_prompt,
        bos_token="<s>", eos_token="</s>")


def cases(source):
    result = {}
    for name, messages in CONVERSATIONS.items():
        try:
            result[name] = {"text": render(source, messages)}
        except jinja2.exceptions.TemplateError as error:
            result[name] = {"error": str(error)}
    result["one"]["without_prompt"] = render(source, CONVERSATIONS["one"], False)
    return result


def main():
    fixture = {"now": int(NOW.timestamp()), "conversations": CONVERSATIONS, "templates": {}, "models": {}}
    for name, source in TEMPLATES.items():
        fixture["templates"][name] = {"source": source, "cases": cases(source)}
    if len(sys.argv) > 1:
        for path in sorted(pathlib.Path(sys.argv[1]).glob("*.jinja")):
            fixture["models"][path.name] = {"cases": cases(path.read_text())}
    root = pathlib.Path(__file__).resolve().parent.parent
    (root / "tests/text/data/chat_templates.json").write_text(json.dumps(fixture, indent=1) + "\n")


main()
