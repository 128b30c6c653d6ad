"""Charge profile: the profile that is looked at, of a Field along an axis or as it is given, in the package's own unit.

In   Field with an axis, or Profile; what is wanted of it.
Out  Profile. InputError for a quantity that has none of what is wanted, with the step that makes one that has.
"""

from __future__ import annotations

from ...errors import InputError, counted
from ...field import Field
from ...results import Profile
from ..profiles.planar import Planes, planar_average, plane_name


def check_charge(quantity: str, wanted: str) -> None:
    """InputError for every quantity but a charge density, with the step that makes one of it."""
    advice = {
        "electron_density": "it counts electrons only. Add the ions first: "
        'gh.charge_density(field, ion_charges={"Na": 1, ...})',
        "electrostatic_potential": "gh.charge_density(potential) is its spectral Laplacian",
        "electron_potential_energy": "gh.charge_density(potential) is its spectral Laplacian",
        "scalar": 'it is not known to be a charge. Name it when reading: quantity="charge_density"',
    }
    if quantity in advice:
        raise InputError(f"{wanted} needs a charge_density, and this is of quantity {quantity}: {advice[quantity]}.")


def charge_profile(field: Field | Profile, axis: Planes | None, wanted: str) -> Profile:
    """Planar average of a charge density in e/Å^3, from a Field and an axis or a Profile.

    Raises InputError for every other quantity, with the step that makes a charge density of it.
    """
    check_charge(field.quantity, wanted)
    return profile_of(field, axis)


def profile_of(field: Field | Profile, axis: Planes | None) -> Profile:
    """Profile of a Field along an axis, or the Profile itself, in the package's own unit of its quantity."""
    if isinstance(field, Profile):
        if axis is not None and plane_name(axis) != plane_name(field.planes):
            raise InputError(f"This profile runs across the planes of {field.planes}, not of {axis}: leave axis out.")
        if len(field.values) < 8:
            n = counted(len(field.values), "plane")
            raise InputError(
                f"Profile of {n} is too coarse: what is looked for in it takes at least 8. Use a finer grid."
            )
        return field.internal()
    if axis is None:
        raise InputError('axis is missing: give "a", "b" or "c", the axis along which to look.')
    return profile_of(planar_average(field, axis), None)
