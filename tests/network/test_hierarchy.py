"""The whole network over a table of architectures."""

import math
import random
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest
import torch
from architectures import ALL, FAMILIES, SOME, build, example_rows, label, noise_for
from scipy import stats

from skrgvae.distributions import LATENT_LAWS
from skrgvae.network import POSTERIORS, Architecture, Hierarchy
from skrgvae.network.modules import LOG_RANGE

DOUBLE = torch.float64
EVERYTHING = Architecture(
    (4, 3, 2), (6, 5, 4), FAMILIES, batch_norm=True, firing_rate=0.2, skip_connections=True
)
PLAIN = Architecture((4, 3, 2), None, FAMILIES, batch_norm=False)


def elbo(module: Hierarchy, rows: torch.Tensor, noise: list[torch.Tensor]) -> torch.Tensor:
    terms = module(rows, noise)
    return (terms.log_likelihood - sum(kl.sum(dim=1) for kl in terms.kl)).mean()


@pytest.mark.parametrize("architecture", SOME, ids=label)
def test_moments_taken_anew_are_those_of_the_last_rows_alone(architecture):
    rows, noise = torch.from_numpy(example_rows()), noise_for(architecture, 12)
    expected, module = build(architecture), build(architecture)
    expected.train()(rows, noise)
    for _ in range(3):
        module.train()(rows * 0.5, noise, torch.ones(rows.shape, dtype=torch.bool))
    module.eval().take_moments([(rows, noise)])
    assert not module.training
    for one, other in zip(module.buffers(), expected.buffers(), strict=True):
        torch.testing.assert_close(one, other)


def test_the_short_table_meets_every_option():
    for field in vars(ALL[0]):
        values = {getattr(architecture, field) is None for architecture in ALL}
        assert {getattr(architecture, field) is None for architecture in SOME} == values
        if field != "hidden_layer_sizes":
            assert {getattr(x, field) for x in SOME} == {getattr(x, field) for x in ALL}


@pytest.mark.parametrize("architecture", ALL, ids=label)
def test_shapes_values_and_gradients(architecture):
    module = build(architecture, dtype=torch.float32)
    rows = torch.from_numpy(example_rows())
    terms = module(rows, noise_for(architecture, 12, dtype=torch.float32))
    assert terms.log_likelihood.shape == (12,)
    shapes = [(12, size) for size in architecture.layer_sizes]
    assert [kl.shape for kl in terms.kl] == shapes
    assert [value.shape for value in terms.values] == shapes
    assert all(tensor.dtype == torch.float32 for tensor in (*terms.kl, *terms.values))
    assert all(torch.isfinite(tensor).all() for tensor in (terms[0], *terms.kl, *terms.values))
    assert all((kl >= -1e-6).all() for kl in terms.kl)
    if architecture.latent == "rectified_gaussian":
        assert all((value >= 0).all() for value in terms.values)
    (terms.log_likelihood.mean() - sum(kl.mean() for kl in terms.kl)).backward()
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        # A bias in front of a normalisation by the batch's own mean has no effect.
        if not (architecture.batch_norm and name.endswith("affine.bias")):
            assert (parameter.grad.abs() > 1e-9).any(), name


def test_every_parameter_matters_at_inference():
    module = build(EVERYTHING).eval()
    elbo(module, torch.from_numpy(example_rows()), noise_for(EVERYTHING, 12)).backward()
    for name, parameter in module.named_parameters():
        assert (parameter.grad != 0).any(), name


def test_constant_columns_have_no_gradient():
    table = example_rows()
    table[:, 2] = 5.0
    module = build(PLAIN, table)
    elbo(module, torch.from_numpy(table), noise_for(PLAIN, 12)).backward()
    # Column 2 is the second Gaussian one; the decoder's outputs begin with the two Bernoulli.
    scale = module.get_parameter("likelihood.families.1.raw_scale").grad
    assert (scale != 0).tolist() == [True, False, True]
    assert (module.top_down.decoder.head.bias.grad != 0).tolist() == [
        True,
        True,
        True,
        False,
        True,
    ]


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("architecture", SOME, ids=label)
def test_gradients_are_those_of_finite_differences(architecture, training):
    module = build(architecture).train(training)
    rows, noise = torch.from_numpy(example_rows()), noise_for(architecture, 12)
    parameters = list(module.parameters())
    gradients = torch.autograd.grad(elbo(module, rows, noise), parameters)
    generator = torch.Generator().manual_seed(2)
    # So small a step that it meets next to no kink of a rectifier; what is left is rounding.
    step = 1e-7
    for _ in range(2):
        direction = [torch.randn(p.shape, dtype=DOUBLE, generator=generator) for p in parameters]
        slope = sum((g * d).sum() for g, d in zip(gradients, direction, strict=True))
        with torch.no_grad():
            start = [parameter.clone() for parameter in parameters]
            values = []
            for sign in (1, -1):
                for parameter, origin, d in zip(parameters, start, direction, strict=True):
                    parameter.copy_(origin + sign * step * d)
                values.append(elbo(module, rows, noise))
            for parameter, origin in zip(parameters, start, strict=True):
                parameter.copy_(origin)
        numeric = (values[0] - values[1]) / (2 * step)
        torch.testing.assert_close(slope, numeric, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("architecture", SOME, ids=label)
def test_samples_side_by_side_are_samples_one_by_one(architecture):
    module = build(architecture).eval()
    rows = torch.from_numpy(example_rows())
    noise = noise_for(architecture, 3, 12)
    with torch.no_grad():
        weights = module.log_weights(rows, noise)
        assert weights.shape == (3, 12)
        for sample in range(3):
            alone = module.log_weights(rows, [layer[sample] for layer in noise])
            torch.testing.assert_close(weights[sample], alone)


@pytest.mark.parametrize("architecture", SOME, ids=label)
def test_the_bound_by_its_definition(architecture):
    # The terms of the record against the laws' own functions, layer by layer from the top.
    module = build(architecture).eval()
    rows, noise = torch.from_numpy(example_rows()), noise_for(architecture, 12)
    with torch.no_grad():
        terms = module(rows, noise)
        messages = module.messages(rows)
        values: list[torch.Tensor] = []
        for layer in reversed(range(len(noise))):
            loc_p, scale_p = module.top_down.prior(layer, values, (12,))
            merge = POSTERIORS[architecture.posterior]
            loc_q, scale_q = merge(loc_p, scale_p, messages[layer])
            kl = module.law.kl(loc_q, scale_q, loc_p, scale_p)
            torch.testing.assert_close(terms.kl[layer], kl)
            values.insert(0, module.law.sample(loc_q, scale_q, noise[layer]))
            torch.testing.assert_close(terms.values[layer], values[0])
        observed = module.likelihood.observe(rows)
        log_likelihood = module.likelihood.log_prob(observed, module.top_down.decode(values))
        torch.testing.assert_close(terms.log_likelihood, log_likelihood)


def test_without_noise_every_layer_hands_down_its_median():
    module = build(EVERYTHING).eval()
    with torch.no_grad():
        layers = module.descend(module.messages(torch.from_numpy(example_rows())), None)
        for position, record in enumerate(layers):
            torch.testing.assert_close(record.value, record.loc_q.clamp(min=0), rtol=0, atol=0)
            above = [layer.value for layer in layers[position + 1 :]]
            prior = module.top_down.prior(position, above, (12,))
            torch.testing.assert_close((record.loc_p, record.scale_p), prior)


@pytest.mark.parametrize("skip", [False, True])
def test_what_a_layer_sees(skip):
    # Without skip connections the likelihood sees the bottom layer alone, and a prior the next
    # layer alone; with them both see everything above.
    architecture = replace(PLAIN, skip_connections=skip)
    module = build(architecture)
    values = [layer.requires_grad_() for layer in noise_for(architecture, 2)]
    outputs = torch.autograd.grad(module.top_down.decode(values).sum(), values, allow_unused=True)
    assert [gradient is not None for gradient in outputs] == [True, skip, skip]
    loc, scale = module.top_down.prior(0, values[1:], (2,))
    above = torch.autograd.grad((loc + scale).sum(), values[1:], allow_unused=True)
    assert [gradient is not None for gradient in above] == [True, skip]


def test_widths_of_the_hidden_layers():
    # Entry l feeds layer l on the way up and leaves it on the way down.
    module = build(EVERYTHING)
    up = [hidden.affine.out_features for hidden in module.bottom_up.hidden]
    assert up == [6, 5, 4]
    assert module.top_down.decoder.hidden.affine.out_features == 6
    down = [prior.step.hidden.affine.out_features for prior in module.top_down.priors]
    assert down == [5, 4]


@pytest.mark.parametrize("rate", [0.1, 0.2, 0.5])
@pytest.mark.parametrize("hidden", [None, (60, 60, 60)])
def test_firing_rate_at_the_start(rate, hidden):
    table = np.random.default_rng(0).normal(size=(400, 20))
    architecture = Architecture((50, 40, 30), hidden, ("gaussian",) * 20, firing_rate=rate)
    module = build(architecture, table, moved=False)
    with torch.no_grad():
        messages = module.messages(torch.from_numpy(table))
        prior = module.top_down.top((1,))
    for layer, message in enumerate(messages):
        # Roughly: the share is that of normal values. What a layer of the plain chain sums up are
        # the few that are on in the layer below, which is skewed.
        tolerance = 0.07 if hidden is None and layer > 0 else 0.03
        assert abs((message.loc > 0).double().mean() - rate) < tolerance
        # Every unit by itself, not some always and the others never.
        assert ((message.loc > 0).any(dim=0) & (message.loc <= 0).any(dim=0)).all()
    torch.testing.assert_close(
        module.law.active(*prior), torch.full((1, 30), rate, dtype=DOUBLE), rtol=1e-6, atol=0
    )
    threshold = NormalDist().inv_cdf(rate)
    for layer, size in ((0, 50), (1, 40)):
        bias = module.top_down.priors[layer].step.head.bias
        expected = torch.cat([torch.full((size,), threshold), torch.zeros(size)]).double()
        torch.testing.assert_close(bias, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("latent", LATENT_LAWS)
def test_priors_start_where_the_law_says(latent):
    module = build(replace(EVERYTHING, latent=latent, batch_norm=False), moved=False)
    loc, scale = module.law.start(0.2)
    expected = torch.full((1, 2), loc).double(), torch.full((1, 2), scale).double()
    torch.testing.assert_close(module.top_down.top((1,)), expected)
    bias = module.top_down.priors[0].step.head.bias
    expected = torch.tensor([loc, math.log(scale)]).double().repeat_interleave(4)
    torch.testing.assert_close(bias, expected)


def test_decoder_starts_at_the_marginal_laws():
    module = build(PLAIN, moved=False)
    outputs = module.top_down.decode([torch.zeros(1, 4, dtype=DOUBLE)])
    # The rates have half a pseudo-count on each side; 12 rows.
    np.testing.assert_allclose(
        module.likelihood.mean(outputs)[0].detach(), example_rows().mean(axis=0), atol=0.5 / 12
    )


def test_drawing_is_a_function_of_the_generator():
    state, same = build(EVERYTHING).state_dict(), build(EVERYTHING).state_dict()
    assert all((state[name] == same[name]).all() for name in state)
    other = build(EVERYTHING, seed=1).state_dict()
    drawn = [name for name in state if name.endswith("weight")]
    assert drawn
    assert all((state[name] != other[name]).all() for name in drawn)


def test_drawing_again_forgets_what_was_there():
    module = build(EVERYTHING, moved=False)
    expected = {name: value.clone() for name, value in module.state_dict().items()}
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if name.endswith(("weight", "bias")):
                parameter.fill_(float("nan"))
    module.float().draw(torch.Generator().manual_seed(0))
    torch.testing.assert_close(module.double().state_dict(), expected)


def test_global_generators_are_left_alone():
    state = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
    module = build(EVERYTHING)
    noise = noise_for(EVERYTHING, 12)
    elbo(module, torch.from_numpy(example_rows()), noise).backward()
    values = module.generate(noise)
    module.likelihood.sample(module.top_down.decode(values), torch.Generator().manual_seed(0))
    assert (torch.get_rng_state() == state[0]).all()
    assert (np.random.get_state()[1] == state[1]).all()  # noqa: NPY002
    assert random.getstate() == state[2]


@pytest.mark.parametrize("architecture", SOME, ids=label)
def test_ancestral_samples_follow_their_laws(architecture):
    # 4,000 rows and five standard errors, about 250 comparisons over all architectures: a right
    # implementation fails one of them with a probability of 2e-4, at a change of the seed only.
    n_rows = 4000
    module = build(architecture).eval()
    with torch.no_grad():
        values = module.generate(noise_for(architecture, n_rows))
        for layer, size in enumerate(architecture.layer_sizes):
            loc, scale = module.top_down.prior(layer, values[layer + 1 :], (n_rows,))
            value = values[layer]
            assert value.shape == (n_rows, size)
            # Means over rows of what is 0 in expectation, each with its own standard error.
            for gap in (
                value - module.law.mean(loc, scale),
                (value > 0).double() - module.law.active(loc, scale),
            ):
                error = gap.mean(dim=0).abs()
                assert (error <= 5 * gap.std(dim=0) / math.sqrt(n_rows)).all()
            if architecture.latent == "rectified_gaussian":
                assert (value >= 0).all()


def linear_gaussian(posterior: str) -> tuple[Hierarchy, np.ndarray, np.ndarray]:
    """A module whose posterior can be exact: two units, each seen by one column of its own.

    Returns the module, which is told of missing entries, and the mean and covariance of its
    columns.
    """
    table = np.random.default_rng(0).normal(size=(30, 2)) * [3, 0.2] + [10, -1]
    architecture = Architecture(
        (2,),
        None,
        ("gaussian",) * 2,
        marked=(0, 1),
        latent="gaussian",
        posterior=posterior,
        batch_norm=False,
    )
    module = build(architecture, table)
    loc_p, scale_p = torch.tensor([0.5, -1.0]), torch.tensor([1.5, 0.7])
    weight, bias = torch.tensor([0.8, -1.2]), torch.tensor([0.1, 0.3])
    with torch.no_grad():
        module.likelihood.completion.correlation.copy_(torch.eye(2))  # they have none
        module.top_down.top.loc.copy_(loc_p)
        module.top_down.top.raw_scale.copy_(scale_p.log())
        module.top_down.decoder.head.weight.copy_(weight.diag())
        module.top_down.decoder.head.bias.copy_(bias)
        noise_scale = module.likelihood.families[0].scale()
        precision = (weight / noise_scale) ** 2  # of z, as its column tells it
        gain = torch.ones(2)
        offset = torch.zeros(2)
        if posterior == "mean_field":  # the message must hold the prior as well
            total = precision + 1 / scale_p**2
            gain, offset = precision / total, loc_p / scale_p**2 / total
            precision = total
        head = module.bottom_up.heads[0]
        loc = offset - gain * bias / weight
        head.bias.copy_(torch.cat([loc, precision.log()]))
        # Without its column a unit's posterior is its prior: a message without precision, or
        # one that says what the prior does.
        lost = torch.stack([torch.zeros(2), torch.full((2,), -LOG_RANGE) - precision.log()])
        if posterior == "mean_field":
            lost = torch.stack([loc_p - loc, -2 * scale_p.log() - precision.log()])
        of_values = torch.cat([(gain / weight).diag(), torch.zeros(2, 2)])
        of_marks = torch.cat([shift.diag() for shift in lost])
        head.weight.copy_(torch.cat([of_values, of_marks], dim=1))
        family = module.likelihood.families[0]
        top = module.top_down.top
        decoder = module.top_down.decoder.head
        mean = family.expectation(decoder(top.loc)).numpy()
        variance = (decoder.weight.diag() * top.raw_scale.exp()) ** 2 + family.scale() ** 2
        covariance = np.diag((family.spread**2 * variance).numpy())
    return module, mean, covariance


@pytest.mark.parametrize("posterior", POSTERIORS)
def test_exact_posterior_of_a_linear_gaussian_model(posterior):
    # With q the exact posterior, log p(x, z) - log q(z | x) is log p(x) for every z.
    module, mean, covariance = linear_gaussian(posterior)
    rows = np.random.default_rng(1).normal(size=(6, 2)) * [3, 0.2] + [10, -1]
    noise = noise_for(module.architecture, 4, 6)
    weights = module.log_weights(torch.from_numpy(rows), noise).detach().numpy()
    expected = stats.multivariate_normal(mean, covariance).logpdf(rows)
    # The toy's numbers are put together in float32.
    np.testing.assert_allclose(weights, np.broadcast_to(expected, (4, 6)), rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("posterior", POSTERIORS)
def test_missing_entries_leave_the_marginal_law(posterior):
    module, mean, covariance = linear_gaussian(posterior)
    rows = np.random.default_rng(2).normal(size=(4, 2)) * [3, 0.2] + [10, -1]
    rows[1, 0] = rows[2, 1] = rows[3] = np.nan
    noise = noise_for(module.architecture, 5, 4)
    weights = module.log_weights(torch.from_numpy(rows), noise).detach().numpy()
    scale = np.sqrt(covariance.diagonal())
    terms = stats.norm(mean, scale).logpdf(rows)  # the columns are independent
    expected = np.nansum(terms, axis=1)
    # The smallest precision that a message can have is exp(-12), not 0.
    np.testing.assert_allclose(weights, np.broadcast_to(expected, (5, 4)), atol=1e-4)
    assert (weights[:, 3] == 0).all()


@pytest.mark.parametrize("latent", LATENT_LAWS)
def test_priors_stop_where_rectified_units_would_never_be_on_again(latent):
    architecture = Architecture((3, 2), None, ("bernoulli",), latent=latent, firing_rate=0.3)
    module = Hierarchy(architecture)
    module.draw(torch.Generator().manual_seed(0))
    prior = module.top_down.priors[0]
    with torch.no_grad():
        prior.step.head.bias[:3] = torch.tensor([-9.0, 1.0, 9.0])
        loc, _ = prior(torch.zeros(1, 2))
    lowest = -4.0 if latent == "rectified_gaussian" else -9.0
    torch.testing.assert_close(loc[0], torch.tensor([lowest, 1.0, 9.0]))


def test_architecture_is_plain_data():
    fields = EVERYTHING.as_dict()
    assert Architecture(**fields) == EVERYTHING
    assert all(not isinstance(value, torch.Tensor) for value in fields.values())
