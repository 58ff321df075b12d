"""Validates objects of other projects' kinds against the schemas in their custom resource definitions.

    validate_custom.py CRD_FOLDER OBJECTS.yaml

An API server drops fields that a schema does not have; here they are errors. Prints `ok KIND NAME` of each object that has such a
definition and holds to it, and what is wrong of the others; objects of kinds without a definition are passed over. What a
definition says in CEL (`x-kubernetes-validations`) is not evaluated.
"""

import pathlib
import sys

import jsonschema
import yaml


def closed(schema):
    """The schema, in which objects have no other fields than those it names."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    changed = {key: value if key in ("default", "enum") else closed(value) for key, value in schema.items()}
    if "properties" in schema:
        # The names of fields are no keywords of the schema.
        changed["properties"] = {name: closed(field) for name, field in schema["properties"].items()}
        loose = schema.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in schema
        # Branches of `oneOf` and their kin name only what they are about.
        if not loose and "type" in schema:
            changed["additionalProperties"] = False
    if schema.get("nullable") and isinstance(schema.get("type"), str):
        changed["type"] = [schema["type"], "null"]
    if schema.get("x-kubernetes-int-or-string"):
        changed.pop("type", None)
    return changed


def schemas(folder):
    """By apiVersion and kind."""
    found = {}
    for path in sorted(pathlib.Path(folder).glob("*.yaml")):
        for crd in yaml.safe_load_all(path.read_text()):
            if not crd:
                continue
            for version in crd["spec"]["versions"]:
                schema = closed(version["schema"]["openAPIV3Schema"])
                # The API server knows metadata itself.
                schema["properties"]["metadata"] = {"type": "object"}
                name = f"{crd['spec']['group']}/{version['name']}"
                found[name, crd["spec"]["names"]["kind"]] = schema
    return found


def main():
    folder, objects = sys.argv[1:]
    known, wrong = schemas(folder), False
    groups = {name.split("/")[0] for name, _ in known}
    for thing in yaml.safe_load_all(pathlib.Path(objects).read_text()):
        if not thing:
            continue
        version, kind, name = thing["apiVersion"], thing["kind"], thing["metadata"]["name"]
        schema = known.get((version, kind))
        if schema is None:
            if version.split("/")[0] in groups:
                wrong = True
                print(f"{kind} {name}: there is no {kind} in {version}")
            continue
        errors = list(jsonschema.Draft202012Validator(schema).iter_errors(thing))
        for error in errors:
            at = ".".join(str(part) for part in error.absolute_path)
            print(f"{kind} {name}: {at}: {error.message[:300]}")
        wrong = wrong or bool(errors)
        if not errors:
            print(f"ok {kind} {name}")
    sys.exit(1 if wrong else 0)


main()
