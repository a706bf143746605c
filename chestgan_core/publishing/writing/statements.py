"""The fixed sentences of every card: what a set is for, what it is not for, what is not known. Nowhere else.

In: facts of a set. Out: Statements. Which sentences apply depends on the kind of the training images: phantoms, CT in
Hounsfield units, pictures. Limits of one collection stand in the file of its dataset (`limits`), not here.
"""

from collections.abc import Iterator

from chestgan_core.publishing.reader.manifest import SetFacts
from chestgan_core.publishing.writing.provenance import Provenance, Statements

# For what there is evidence: no reading of such images by a physician has ever been compared with a diagnosis.
INTENDED = (
    "Research on methods: generation, its evaluation, and what synthetic images do to other models.",
    "Augmentation of training data, if its effect is measured on patients who were held out.",
    "Teaching, demonstrations and tests of software.",
)
FORBIDDEN = (
    "Diagnosis, clinical decisions, and anything that a patient or a physician relies on.",
    "Evidence of how frequent, typical or normal anything is in patients: a generator changes frequencies.",
    # What a generator leaves out, the next one cannot know; acquisition refuses such files by their flags.
    "Training of another generator as if these were scans.",
    # Distance tests have passed while membership inference succeeded (arXiv 2505.01524), and generative models of CT
    # have repeated training images (arXiv 2402.01054). So no test that is made here supports the claim.
    "Claims that the images are anonymous, or that they protect anybody.",
)
INTENDED_WITH_BOXES = (
    "Training of detectors of lung tumours, if its effect is measured on patients who were held out."
)
# Who can put tumours into scans can deceive physicians and programs (Mirsky et al. 2019, arXiv 1901.03597).
FORBIDDEN_WITH_BOXES = "Putting its tumours, or tumours made in this way, into the scan of a person."
BOXES_ARE_REQUESTS = (
    "A box is where the generator was asked to draw a tumour. It is a request and no finding: nobody looked whether "
    "the image shows it. How often it does is what placement measures, where it was measured."
)
NONE_IS_NOT_UNKNOWN = (
    "Boxes that are an empty list say that no tumour was asked for. Boxes that are null say that nothing was said "
    "about tumours, so nothing is known: do not take such an image for one without a tumour."
)
DRAWN = (
    "What was asked was drawn from the layouts of training slices and moved at random in place, size and position "
    "along the lungs: no box is that of a person."
)
GIVEN = "What was asked was given by whoever made this set; it was not drawn from training slices."
NO_TAMPERING = (
    "No tumour was put into the scan of a person. An image is computed from noise and from what was asked; no scan "
    "goes in, and chestgan has no command that takes one. Tumours that are put into scans of patients, or removed "
    "from them, deceive physicians and programs (arXiv 1901.03597), and images to train on need no patient's scan."
)
POSITION_IS_A_REQUEST = (
    "The position, from 0 at the base of the lungs to 1 at their apex, is what the generator was asked for; nobody "
    "looked whether the image shows it."
)
MAY_REPEAT = (
    "A generative network can repeat images that it was trained on, so it cannot be ruled out that information about "
    "training patients can be recovered from its images or its weights."
)
HOLDS_BACK = "The rule holds sets with obvious copies back."
NO_PROOF = (
    "This is no proof of privacy: tests by distance have passed where membership inference succeeded (arXiv "
    "2505.01524)."
)
NOT_TESTED = "Whether images are copies of training images was not tested for this set."
GENERATOR_LIMITS = (
    "A generator leaves out what is rare among its training patients, and may show what no patient has.",
    "Each image stands alone: there are no volumes, and no two images belong to one person.",
)


def statements_of(facts: SetFacts, provenance: Provenance) -> Statements:
    """The sentences that hold for this set."""
    return Statements(
        intended=(*INTENDED, INTENDED_WITH_BOXES) if facts.has_boxes else INTENDED,
        forbidden=(*FORBIDDEN, FORBIDDEN_WITH_BOXES) if facts.has_boxes else FORBIDDEN,
        limits=tuple(_limits(facts, provenance)),
        copies=tuple(_copies(provenance)),
        changes=_changes(facts, provenance),
        asked=tuple(_asked(facts)),
    )


def _asked(facts: SetFacts) -> Iterator[str]:
    """What the labels say beside the class; nothing where the generator was not told more."""
    if facts.has_boxes:
        yield from (BOXES_ARE_REQUESTS, NONE_IS_NOT_UNKNOWN)
    if facts.has_position:
        yield POSITION_IS_A_REQUEST
    if facts.has_boxes or facts.has_position:
        yield DRAWN if facts.layouts == "drawn" else GIVEN
    if facts.has_boxes:
        yield NO_TAMPERING


def _limits(facts: SetFacts, provenance: Provenance) -> Iterator[str]:
    low, high = (f"{end:g}" for end in facts.window.ends)
    step = facts.window_width / (2**facts.bits - 1)
    if facts.window_unit == "HU":
        yield (
            f"Values outside of {low} to {high} HU are clipped: what differed below or above in the training images is "
            f"lost, and no conversion brings it back. One level is {step:.2g} HU."
        )
        yield (
            "Pixel spacing and slice thickness are not modelled: nothing can be measured in millimetres, and files "
            "that need a spacing have a nominal one."
        )
    else:
        yield (
            "The window of each training image was chosen by whoever made it, and is not known: levels are not "
            "Hounsfield units, and cannot be compared between images. Pixel spacing is not modelled."
        )
    yield from GENERATOR_LIMITS
    if facts.classes:
        yield "The class of an image is what it was generated to show. Nobody diagnosed it."
    if not facts.has_boxes:
        yield "Nothing is known about tumours in these images: the generator was told of none, and nobody looked."
    if provenance.source_facts:
        yield from provenance.source_facts.limits


def _copies(provenance: Provenance) -> Iterator[str]:
    """What is known about copies of training images; what is not known is said, and is never good news."""
    row = provenance.metrics and next(
        (row for row in provenance.metrics.rows if row.measure == "memorized fraction"), None
    )
    if not row or row.value is None:
        yield NOT_TESTED
        if row:
            yield f"{row.note[:1].upper()}{row.note[1:]}."
    else:
        others = (
            ""
            if row.floor is None
            else f"; of images of other {provenance.image_kind} patients it is {row.number(row.floor)}"
        )
        yield (
            f"{row.number(row.value)} of {row.n_fake} synthetic images were nearer to a training image than to one of "
            f"a held-out patient, under the test described here (50% is chance{others}). This does not exclude that "
            "information about training patients can be recovered."
        )
        gate = provenance.metrics.gate if provenance.metrics else None
        rule = gate and next((rule for rule in gate.rules if rule.check == "memorization"), None)
        apart = gate and next((one for one in gate.not_asked if one.check == "memorization"), None)
        if apart:
            yield f"No rule of the release gate judges this number: {apart.reason}."
        elif gate and not rule:
            yield "No rule of the release gate limits this number."
        elif rule:
            yield f"Rule of the release gate: {rule.note}: {rule.state}. {HOLDS_BACK}"
        yield NO_PROOF
    yield MAY_REPEAT


def _changes(facts: SetFacts, provenance: Provenance) -> str:
    """The statement of changes that CC BY asks for."""
    hounsfield = facts.window_unit == "HU"
    steps = ["selected", *(("cropped to the body",) if hounsfield else ())]
    sizes = [provenance.training.size] if provenance.training else []
    steps += [f"resized to {size} x {size} pixels" for size in dict.fromkeys([*sizes, facts.resolution])]
    if hounsfield:
        steps.append(f"seen through the window {facts.window}")
    return (
        f"Changes: images of the source were {', '.join(steps)}, and a network was trained on them. The images of this "
        "set were computed by that network; none is an image of the source."
    )
