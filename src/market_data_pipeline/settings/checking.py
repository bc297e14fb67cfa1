"""A settings file by itself: all mistakes in it, those in the settings of providers and in its profiles too."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
from pydantic import ValidationError

from market_data_pipeline.contracts import AnyRule, BudgetFinding, Concurrency, check_budget
from market_data_pipeline.errors import ConfigurationError, PluginError
from market_data_pipeline.plugins import PluginHost, ProviderSpec, SourceSpec, Spec
from market_data_pipeline.plugins.budget import budget_of
from market_data_pipeline.settings.accounts import breaker_of, rules_of
from market_data_pipeline.settings.document import Document, read_document
from market_data_pipeline.settings.layers import merged
from market_data_pipeline.settings.loading import FORM
from market_data_pipeline.settings.mistakes import mistakes, placed
from market_data_pipeline.settings.secrets import plain_secrets
from market_data_pipeline.settings.shape import Location, is_in
from market_data_pipeline.settings.tree import QUIET, PipelineRuntimeSettings, PluginSettings, SettingsFile
from market_data_pipeline.settings.validation import check


@attrs.frozen
class Findings:
    """What is to be said about a file, each with its place."""

    mistakes: list[str] = attrs.field(factory=list)
    warnings: list[str] = attrs.field(factory=list)


def check_file(path: str | Path, host: Callable[[PluginSettings], PluginHost]) -> Findings:
    """Return what is wrong with a settings file; `host` makes one of what it says of plugins."""
    findings = Findings()
    try:
        document = read_document(path, form=FORM)
    except ConfigurationError as error:
        findings.mistakes.append(str(error))
        return findings
    findings.mistakes.extend(document.refused)
    settings = None
    try:
        settings = SettingsFile.model_validate(document.root.value, context=QUIET)
    except ValidationError as error:
        findings.mistakes.extend(placed(mistakes(error, SettingsFile, document.root.value), document.find))
    find = host(_plugins(document)).provider_or_source
    for stand in _stands(document):
        _check(document, stand, find, findings)
    if settings is not None:
        for location, values in [((), settings), *_profiles(document, settings)]:
            _check_accounts(document, location, values, find, findings)
    return findings


def _profiles(document: Document, settings: SettingsFile) -> Iterator[tuple[Location, PipelineRuntimeSettings]]:
    """Yield what holds when a profile is chosen, and where that stands."""
    root = {key: value for key, value in document.root.value.items() if key != "profiles"}
    for name in settings.profiles:
        own = document.root.value["profiles"][name] or {}
        if "coordination" in own:
            whole = PipelineRuntimeSettings.model_validate(merged(root, own), context=QUIET)
            yield ("profiles", name), whole


def _check_accounts(
    document: Document,
    location: Location,
    settings: PipelineRuntimeSettings,
    find: Callable[[str], Spec],
    findings: Findings,
) -> None:
    """Check the budgets and breakers that settings make out of those of the plugins."""
    for name, account in settings.coordination.providers.items():
        stand = (*location, "coordination", "providers", name)
        place = document.find(stand)
        try:
            spec = find(name)
            declared = budget_of(spec) if isinstance(spec, ProviderSpec | SourceSpec) else ()
            rules = rules_of(declared, account.rules, name)
            where = f"coordination.providers.{name}"
            breaker_of(settings, [account.breaker], f"{where}.breaker")
            for operation, of in account.operations.items():
                breaker_of(settings, [account.breaker, of.breaker], f"{where}.operations.{operation}.breaker")
        except (ConfigurationError, PluginError) as error:
            findings.mistakes.append(f"{place}: {error}")
            continue
        known = set(check_budget(declared))  # those are for its author
        for found in (*check_budget(rules), *_taken_away(declared, rules)):
            if found not in known:
                at = document.find((*stand, "rules", found.rule)) if found.rule in account.rules else place
                (findings.mistakes if found.is_error else findings.warnings).append(f"{at}: {found}")


def _taken_away(declared: Sequence[AnyRule], rules: Sequence[AnyRule]) -> Iterator[BudgetFinding]:
    """Yield the limits that a plugin declares for leases alone, and that settings leave none of."""
    left: dict[str, str] = {rule.name: rule.kind for rule in rules}
    for rule in declared:
        if isinstance(rule, Concurrency) and rule.operations == frozenset() and left.get(rule.name) != rule.kind:
            yield BudgetFinding(
                code="contradiction",
                rule=rule.name,
                what="no lease of it is ever granted",
                why=f"it is for leases, and here it is {'of another kind' if rule.name in left else 'taken away'}",
                cure=f"set another limit: the plugin's is {rule.limit}",
            )


def _plugins(document: Document) -> PluginSettings:
    try:
        return PluginSettings.model_validate(_mapping(document.root.value, "plugins"))
    except ValidationError:
        return PluginSettings()  # what is wrong is among the mistakes already


@attrs.frozen
class _Stand:
    """Where a file says something about a provider."""

    location: Location
    own: Mapping[str, Any]
    under: Mapping[str, Any]
    """What the file says outside of the profile that this is in."""
    is_whole: bool
    """Whether no profile adds to it."""

    def concerns(self, location: Location) -> bool:
        """Return whether a mistake belongs here: it stands here, or what is missing can come from nowhere else."""
        if is_in(location, self.own) or not location:
            return True
        return self.is_whole and not is_in(location, self.under)


def _check(document: Document, stand: _Stand, find: Callable[[str], Spec], findings: Findings) -> None:
    def place(inner: Location) -> str:
        return document.find((*stand.location, *inner))

    try:
        spec = find(str(stand.location[-1]))
        model, found = spec.resolve_settings(), check(spec, merged(stand.under, stand.own))[1]
    except PluginError as error:
        findings.mistakes.append(f"{place(())}: {error}")
        return
    findings.mistakes.extend(placed({at: text for at, text in found.items() if stand.concerns(at)}, place))
    findings.warnings.extend(
        f"{place(at)}: {'.'.join(map(str, at))} is a secret that is written out: write {{env: NAME}} or {{file: PATH}}"
        for at in (plain_secrets(model, stand.own) if model else ())
    )


def _stands(document: Document) -> Iterator[_Stand]:
    root = document.root.value
    base = _mapping(root, "providers")
    profiles = _mapping(root, "profiles")
    added = {name: _mapping(_mapping(profiles, name), "providers") for name in profiles}
    for name in base:
        is_whole = not any(name in providers for providers in added.values())
        if isinstance(base[name], Mapping):
            yield _Stand(("providers", name), base[name], {}, is_whole)
    for profile, providers in added.items():
        for name, own in providers.items():
            if isinstance(own, Mapping):
                yield _Stand(("profiles", profile, "providers", name), own, _mapping(base, name), is_whole=True)


def _mapping(values: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    inner = values.get(key)
    return inner if isinstance(inner, Mapping) else {}
