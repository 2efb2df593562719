"""Isolated copies of the user's tree, confined as far as this machine can."""

import asyncio
from typing import TYPE_CHECKING

from kimi_code.permissions.paths import Boundary
from kimi_code.permissions.sandbox import find
from kimi_code.session.store import SessionMeta
from kimi_code.wiring.opening import Opening

if TYPE_CHECKING:
    from kimi_code.repo.checkout import Checkouts
    from kimi_code.repo.snapshot import Snapshots


async def freeze_tree(opening: Opening, snapshots: "Snapshots", meta: SessionMeta, boundary: Boundary) -> "Checkouts":
    """The user's tree as it is now. Raises CheckoutError."""
    from kimi_code.permissions.confinement import Confinement, find_mounts
    from kimi_code.repo.checkout import Options, freeze

    settings = opening.settings
    found = await asyncio.to_thread(find, settings.sandbox, settings.data_dir)
    mounts = await asyncio.to_thread(find_mounts, found, settings.data_dir)
    confinement = Confinement(found, mounts, boundary.own, settings.caches, settings.net)
    options = Options(
        settings.checkouts.linked,
        settings.checkouts.copied,
        readable=(meta.path,),
        caches=settings.data_dir / "index",
    )
    return await freeze(snapshots, settings.data_dir / "checkouts", confinement, options)
