"""Where things lie: from wick.toml in the working folder, the environment (WICK_…), then flags."""

import tomllib
from pathlib import Path

from pydantic import Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from strategy.errors import WickError, did_you_mean

SETTINGS_FILE = Path("wick.toml")


class Settings(BaseSettings):
    """All settings, each with its default and meaning."""

    model_config = SettingsConfigDict(
        env_prefix="WICK_", toml_file=SETTINGS_FILE, extra="forbid", frozen=True
    )

    store: Path = Field(Path("var/store"), description="folder of stored candles")
    runs: Path = Field(Path("var/runs"), description="folder of runs")
    sessions: Path = Field(Path("var/sessions"), description="folder of live and paper sessions")
    archive_url: str = Field(
        "https://data.binance.vision", description="public archive that candles are fetched from"
    )
    rest_url: str = Field(
        "https://fapi.binance.com", description="REST of the exchange's futures, for public data"
    )
    spot_rest_url: str = Field(
        "https://api.binance.com", description="REST of the exchange's spot market, for public data"
    )
    redis: str = Field("", description="Redis of a session; empty for one that comes along")
    testnet_rest_url: str = Field(
        "https://demo-fapi.binance.com", description="REST of the exchange's demo futures"
    )
    testnet_stream_url: str = Field(
        "wss://demo-fstream.binance.com", description="WebSockets of the exchange's demo futures"
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Rank flags over the environment over wick.toml."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)


def load_settings(**flags: object) -> Settings:
    """Read the settings; a flag that is None was not given.

    Raises
    ------
    WickError
        wick.toml is not TOML, has an unknown key, or a value is of the wrong kind.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    try:
        return Settings(**given)  # type: ignore[arg-type]  # checked by pydantic, reported below
    except tomllib.TOMLDecodeError as error:
        raise WickError(
            f"{SETTINGS_FILE} is not TOML: {error}", 'a line reads: store = "var/store"'
        ) from error
    except ValidationError as error:
        raise _explained(error) from error


def _explained(error: ValidationError) -> WickError:
    first = error.errors()[0]
    name = ".".join(map(str, first["loc"]))
    known = sorted(Settings.model_fields)
    if first["type"] == "extra_forbidden":
        return WickError(f"{SETTINGS_FILE} has an unknown key {name!r}", did_you_mean(name, known))
    return WickError(
        f"the setting {name} is {first['input']!r}: {first['msg'].lower()}",
        f"mend it in {SETTINGS_FILE} or in the environment as WICK_{name.upper()}",
    )
