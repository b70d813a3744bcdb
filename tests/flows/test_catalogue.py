"""The catalogue says which parts of the recipe each flow uses."""

from flows import catalogue
from flows.catalogue import needs
from flows.settings.recipe import Recipe


def test_every_flow_names_parts_of_the_recipe() -> None:
    for flow in catalogue.FLOWS:
        assert needs(flow) <= set(Recipe.model_fields)
    own = needs("render_stories") - needs("studio")
    assert own == {"sound", "stories"}
    assert all(needs(flow) <= needs("studio") | own for flow in catalogue.FLOWS)


def test_what_is_given_need_not_be_made() -> None:
    assert "captioner" in needs("train_decoder")
    assert needs("train_decoder", {"snapshot": "s", "autoencoder": ""}) == {"frozen", "first", "autoencoder", "decoder"}
    assert needs("train_decoder", {"snapshot": "s", "autoencoder": "a"}) == {"frozen", "decoder"}
    models = dict.fromkeys(("snapshot", "autoencoder", "decoder", "autoregressive"), "given")
    assert needs("evaluate", models) == {"frozen", "face", "render", "evaluate"}  # tokens are made by the frozen models
