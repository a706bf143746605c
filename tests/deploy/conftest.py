"""One generated patient."""

from tests.standins.fixtures import one_patient as one_patient
