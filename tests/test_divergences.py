"""Each divergence against torch.distributions, Monte Carlo, quadrature or a closed form."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, special, stats
from scipy.optimize import minimize_scalar
from torch.distributions import Bernoulli, Normal, kl_divergence

from sdmvae_lite.model.divergences import (
    ard_kl,
    ard_kl_at,
    bernoulli_kl,
    complex_gaussian_nll,
    gaussian_kl,
    gaussian_kl_between,
    itakura_saito,
    optimal_gamma,
    spike_and_slab_kl,
    spike_and_slab_kl_between,
    student_t_gamma,
    student_t_kl,
)

DRAWS = 400_000
EXTREMES = torch.tensor([-1e4, -100.0, -20.0, -1e-6, 0.0, 1e-6, 20.0, 100.0, 1e4])
means = st.floats(-5, 5)
logvars = st.floats(-6, 3)
logits = st.floats(-8, 8)


def grid(*values):
    return torch.meshgrid(*values, indexing="ij")


def normal(mu, logvar):
    return Normal(mu, torch.exp(0.5 * logvar))


def float64(*values):
    return [torch.tensor(value, dtype=torch.float64) for value in values]


@given(means, logvars)
def test_gaussian_kl_is_torch_distributions(mu, logvar):
    mu, logvar = float64(mu, logvar)
    expected = kl_divergence(normal(mu, logvar), Normal(torch.zeros_like(mu), 1.0))
    torch.testing.assert_close(gaussian_kl(mu, logvar), expected, rtol=1e-9, atol=1e-12)


@given(means, logvars, means, logvars)
def test_gaussian_kl_between_is_torch_distributions(mu, logvar, prior_mu, prior_logvar):
    mu, logvar, prior_mu, prior_logvar = float64(mu, logvar, prior_mu, prior_logvar)
    expected = kl_divergence(normal(mu, logvar), normal(prior_mu, prior_logvar))
    actual = gaussian_kl_between(mu, logvar, prior_mu, prior_logvar)
    torch.testing.assert_close(actual, expected, rtol=1e-9, atol=1e-12)


@given(means, logvars, st.floats(0.01, 50))
def test_ard_kl_at_any_gamma_is_torch_distributions(mu, logvar, gamma):
    mu, logvar, gamma = float64(mu, logvar, gamma)
    expected = kl_divergence(normal(mu, logvar), Normal(torch.zeros_like(mu), gamma.sqrt()))
    torch.testing.assert_close(ard_kl_at(mu, logvar, gamma), expected, rtol=1e-8, atol=1e-12)


@given(means, logvars)
def test_the_closed_form_gamma_is_found_again_by_numerical_minimisation(mu, logvar):
    mu, logvar = float64(mu, logvar)
    found = minimize_scalar(
        lambda log_gamma: ard_kl_at(mu, logvar, torch.tensor(log_gamma).exp()).item(),
        bounds=(-10, 10),
        method="bounded",
        options={"xatol": 1e-8},
    )
    assert math.exp(found.x) == pytest.approx(optimal_gamma(mu, logvar).item(), rel=1e-3)
    assert found.fun == pytest.approx(ard_kl(mu, logvar).item(), abs=1e-6)


@given(st.floats(-30, 30), st.floats(-30, 30))
def test_bernoulli_kl_is_torch_distributions(logit, prior_logit):
    logit, prior_logit = float64(logit, prior_logit)
    expected = kl_divergence(Bernoulli(logits=logit), Bernoulli(logits=prior_logit))
    torch.testing.assert_close(bernoulli_kl(logit, prior_logit), expected, rtol=1e-6, atol=1e-9)


def spike_and_slab_log_density(z, zero, mu, logvar, logit):
    """Density with respect to Lebesgue measure plus a point mass at zero."""
    slab = normal(mu, logvar).log_prob(z) + torch.nn.functional.logsigmoid(logit)
    return torch.where(zero, torch.nn.functional.logsigmoid(-logit), slab)


@pytest.mark.parametrize(
    ("posterior", "prior"),
    [
        ((1.2, -1.0, 0.7), (0.0, 0.0, -2.9)),
        ((-0.4, 0.5, -1.5), (0.6, -0.7, 0.4)),
        ((2.0, -2.0, 3.0), (1.0, 0.3, 2.2)),
    ],
)
def test_spike_and_slab_kl_is_what_monte_carlo_finds(posterior, prior):
    torch.manual_seed(0)
    posterior, prior = float64(*posterior), float64(*prior)
    zero = torch.rand(DRAWS, dtype=torch.float64) > torch.sigmoid(posterior[2])
    z = normal(*posterior[:2]).sample((DRAWS,)).where(~zero, 0.0)
    log_ratio = spike_and_slab_log_density(z, zero, *posterior) - spike_and_slab_log_density(
        z, zero, *prior
    )
    error = log_ratio.std() / math.sqrt(DRAWS)
    exact = spike_and_slab_kl_between(*posterior, *prior)
    assert abs(exact - log_ratio.mean()) < 4 * error
    if (prior[0], prior[1]) == (0.0, 0.0):
        fixed = spike_and_slab_kl(*posterior, alpha=torch.sigmoid(prior[2]).item())
        torch.testing.assert_close(fixed, exact)


@given(means, logvars, logits)
def test_a_distribution_has_no_divergence_from_itself(mu, logvar, logit):
    mu, logvar, logit = float64(mu, logvar, logit)
    own = spike_and_slab_kl_between(mu, logvar, logit, mu, logvar, logit)
    torch.testing.assert_close(own, torch.zeros_like(own), rtol=0, atol=1e-9)


@given(means, logvars, logits, st.floats(0.01, 0.99))
def test_divergences_are_not_negative(mu, logvar, logit, alpha):
    mu, logvar, logit = float64(mu, logvar, logit)
    for value in (
        gaussian_kl(mu, logvar),
        ard_kl(mu, logvar),
        spike_and_slab_kl(mu, logvar, logit, alpha),
        itakura_saito(logvar.exp(), mu.exp()),
    ):
        assert value >= -1e-12


@given(means, logvars, st.floats(0.01, 100))
def test_ard_kl_does_not_see_the_scale_of_the_code(mu, logvar, scale):
    mu, logvar = float64(mu, logvar)
    rescaled = ard_kl(scale * mu, logvar + 2 * math.log(scale))
    torch.testing.assert_close(rescaled, ard_kl(mu, logvar), rtol=1e-9, atol=1e-12)


@given(means, logvars)
def test_treating_gamma_as_constant_gives_the_same_gradient(mu, logvar):
    """The envelope theorem, on which Algorithm 1's two steps rest."""
    mu, logvar = (value.requires_grad_() for value in float64(mu, logvar))
    through = torch.autograd.grad(ard_kl(mu, logvar), (mu, logvar))
    gamma = optimal_gamma(mu, logvar).detach()
    detached = torch.autograd.grad(ard_kl_at(mu, logvar, gamma), (mu, logvar))
    torch.testing.assert_close(through, detached, rtol=1e-7, atol=1e-10)


nus = st.floats(0.05, 200)
scales = st.floats(0.05, 20)


def kl_by_quadrature(mu, logvar, nu, scale):
    """Of the normal to the Student-t, integrated over twelve standard deviations on each side."""
    sigma = math.exp(0.5 * logvar)
    own, prior = stats.norm(mu, sigma), stats.t(nu, 0, scale)

    def integrand(z):
        return own.pdf(z) * (own.logpdf(z) - prior.logpdf(z))

    ends = mu - 12 * sigma, mu + 12 * sigma
    return integrate.quad(integrand, *ends, points=[mu, 0], limit=200)[0]


@settings(max_examples=25)
@given(means, logvars, nus, scales)
def test_student_t_kl_bounds_the_divergence_from_above(mu, logvar, nu, scale):
    bound = student_t_kl(*float64(mu, logvar), nu, scale).item()
    assert bound >= kl_by_quadrature(mu, logvar, nu, scale) - 1e-6


@pytest.mark.parametrize("nu", [0.3, 1.0, 4.0])
def test_student_t_kl_is_tight_where_the_posterior_is_narrow(nu):
    """Far from zero and narrow, the log-density is straight across the posterior."""
    bound = student_t_kl(*float64(3.0, -10.0), nu, 2.0).item()
    assert bound == pytest.approx(kl_by_quadrature(3.0, -10.0, nu, 2.0), abs=1e-4)


@settings(max_examples=25)
@given(means, logvars, nus, scales)
def test_student_t_kl_is_the_least_over_posteriors_of_gamma(mu, logvar, nu, scale):
    """Derived again with q(γ) an inverse-Gamma of the same shape, its scale left to a search."""
    shape, prior_shape, prior_rate = (nu + 1) / 2, nu / 2, nu * scale**2 / 2
    square = mu**2 + math.exp(logvar)

    def price(log_rate):
        log_gamma = log_rate - special.digamma(shape)  # its mean under q(γ)
        precision = shape / math.exp(log_rate)
        of_code = 0.5 * (log_gamma - logvar - 1 + square * precision)
        of_gamma = (
            (shape - prior_shape) * special.digamma(shape)
            + special.gammaln(prior_shape)
            - special.gammaln(shape)
            + prior_shape * (log_rate - math.log(prior_rate))
            + (prior_rate * precision - shape)
        )
        return of_code + of_gamma

    around = math.log((nu * scale**2 + square) / 2)
    found = minimize_scalar(price, bounds=(around - 3, around + 3), method="bounded")
    bound = student_t_kl(*float64(mu, logvar), nu, scale).item()
    assert bound == pytest.approx(found.fun, abs=1e-6)
    assert student_t_gamma(*float64(mu, logvar), nu, scale).item() == pytest.approx(
        math.exp(found.x) / shape, rel=1e-3
    )


@given(means, logvars, scales)
def test_the_ends_of_the_student_t_family_are_the_vae_and_the_paper(mu, logvar, scale):
    mu, logvar, scale = float64(mu, logvar, scale)
    normal_kl = kl_divergence(normal(mu, logvar), Normal(torch.zeros_like(mu), scale))
    many = student_t_kl(mu, logvar, 1e8, scale)
    torch.testing.assert_close(many, normal_kl, rtol=1e-3, atol=1e-5)
    few = 1e-9
    constant = -math.log(few / 2) - 0.5 * math.log(2 * math.pi * math.e)
    torch.testing.assert_close(
        student_t_kl(mu, logvar, few, scale), ard_kl(mu, logvar) + constant, rtol=0, atol=1e-5
    )
    gammas = [student_t_gamma(mu, logvar, nu, scale) for nu in (1e9, 1e-9)]
    torch.testing.assert_close(gammas[0], scale.square(), rtol=1e-4, atol=0)
    torch.testing.assert_close(gammas[1], optimal_gamma(mu, logvar), rtol=1e-4, atol=1e-6)


@given(means, logvars, nus, scales)
def test_student_t_kl_is_even_and_rises_from_a_floor(mu, logvar, nu, scale):
    mu, logvar, scale = float64(mu, logvar, scale)
    value = student_t_kl(mu, logvar, nu, scale)
    torch.testing.assert_close(student_t_kl(-mu, logvar, nu, scale), value, rtol=0, atol=0)
    assert student_t_kl(1.1 * mu, logvar, nu, scale) >= value
    floor = student_t_kl(torch.zeros_like(mu), 2 * scale.log(), nu, scale)
    assert value >= floor - 1e-9
    assert floor > 0
    torch.testing.assert_close(  # its unit does not matter
        student_t_kl(3 * mu, logvar + 2 * math.log(3), nu, 3 * scale), value, rtol=0, atol=1e-9
    )


def test_a_coefficient_at_rest_costs_less_the_more_normal_the_prior():
    rest = [student_t_kl(*float64(0.0, 0.0), nu).item() for nu in (0.1, 1, 10, 100)]
    assert rest[1] == pytest.approx(0.5 * math.log(2 * math.pi) - 0.5)
    assert rest == sorted(rest, reverse=True)


def test_student_t_kl_has_the_gradients_of_finite_differences():
    mu, logvar = (each.clone() for each in grid(*float64([-2.0, -0.1, 4.0], [-3.0, 0.0])))
    inputs = [mu, logvar, *float64(0.7, 1.3)]
    assert torch.autograd.gradcheck(student_t_kl, [each.requires_grad_() for each in inputs])


@pytest.mark.parametrize("nu", [0.1, 1.0, 1e4])
def test_student_t_kl_keeps_its_value_in_float32(nu):
    mu, logvar = grid(torch.tensor([1e15, 1.0, 0.0]), torch.tensor([-60.0, 0.0, 30.0]))
    mu, logvar = (value.clone().requires_grad_() for value in (mu, logvar))
    value = student_t_kl(mu, logvar, nu)
    exact = student_t_kl(mu.double(), logvar.double(), nu)
    torch.testing.assert_close(value.double(), exact, rtol=1e-4, atol=1e-4)
    for gradient in torch.autograd.grad(value.sum(), (mu, logvar)):
        assert torch.isfinite(gradient).all()


def test_complex_gaussian_nll_is_the_density_of_two_real_gaussians():
    torch.manual_seed(0)
    real, imaginary, log_variance = torch.randn(3, 100, dtype=torch.float64)
    each = Normal(torch.zeros(100, dtype=torch.float64), torch.exp(0.5 * log_variance) / 2**0.5)
    expected = -(each.log_prob(real) + each.log_prob(imaginary)) - math.log(math.pi)
    actual = complex_gaussian_nll(real**2 + imaginary**2, log_variance)
    torch.testing.assert_close(actual, expected)


def test_itakura_saito_is_the_likelihoods_excess_over_its_best():
    torch.manual_seed(0)
    power, estimate = torch.rand(2, 100, dtype=torch.float64) + 1e-3
    excess = complex_gaussian_nll(power, estimate.log()) - complex_gaussian_nll(power, power.log())
    torch.testing.assert_close(itakura_saito(power, estimate), excess)
    torch.testing.assert_close(itakura_saito(7 * power, 7 * estimate), excess)


@pytest.mark.parametrize(
    "divergence",
    [
        gaussian_kl,
        ard_kl,
        lambda x, y: student_t_kl(x, y, 1.0),
        bernoulli_kl,
        lambda x, y: complex_gaussian_nll(x.abs(), y),
    ],
    ids=["gaussian_kl", "ard_kl", "student_t_kl", "bernoulli_kl", "complex_gaussian_nll"],
)
def test_values_and_gradients_are_finite_at_float32_extremes(divergence):
    x, y = (value.clone().requires_grad_() for value in grid(EXTREMES, EXTREMES.clamp(-60, 60)))
    value = divergence(x, y)
    gradients = torch.autograd.grad(value.sum(), (x, y))
    for tensor in (value, *gradients):
        assert torch.isfinite(tensor).all()


def test_ard_kl_keeps_its_value_where_the_ratio_overflows():
    mu, logvar = torch.tensor([1e15, 1.0, 0.0]), torch.tensor([-60.0, -200.0, -200.0])
    expected = torch.tensor([math.log(1e15) + 30.0, 100.0, 0.0])
    torch.testing.assert_close(ard_kl(mu, logvar), expected)


def test_silence_is_finite_whatever_the_decoder_says():
    log_variance = torch.tensor([-1e4, -100.0, 0.0, 100.0], requires_grad=True)
    value = complex_gaussian_nll(torch.zeros(4), log_variance)
    torch.testing.assert_close(value, log_variance)
    assert torch.isfinite(torch.autograd.grad(value.sum(), log_variance)[0]).all()


@pytest.mark.parametrize("log_variance", [-1000.0, -90.0, -80.0, -79.0, -2.0])
def test_the_gradient_of_the_likelihood_is_its_slope_and_leads_out_of_the_deep(log_variance):
    """Also below the floor of float32, where descent must not sink further."""
    power, log_variance = float64(0.5, log_variance)

    def slope(at, step=1e-5):
        above, below = (complex_gaussian_nll(power, at + sign * step) for sign in (1, -1))
        return (above - below) / (2 * step)

    log_variance.requires_grad_()
    (gradient,) = torch.autograd.grad(complex_gaussian_nll(power, log_variance), log_variance)
    torch.testing.assert_close(gradient, slope(log_variance.detach()), rtol=1e-4, atol=1e-9)
    assert gradient < 0  # the variance is below the power everywhere here: it should rise
    assert (complex_gaussian_nll(power.float(), log_variance.float()) < torch.inf).all()


@pytest.mark.parametrize("shapes", [((4, 3), (4, 3)), ((3,), (4, 3)), ((4, 1), (3,)), ((), (3,))])
def test_the_likelihoods_own_gradients_are_those_of_finite_differences(shapes):
    generator = torch.Generator().manual_seed(0)
    power, log_variance = (
        torch.rand(shape, generator=generator, dtype=torch.float64) for shape in shapes
    )
    inputs = power.requires_grad_(), (4 * log_variance - 2).requires_grad_()
    assert torch.autograd.gradcheck(complex_gaussian_nll, inputs)


def test_spike_and_slab_kl_is_finite_with_gates_shut_and_open():
    mu, logit = (value.clone().requires_grad_() for value in grid(EXTREMES.clamp(-9, 9), EXTREMES))
    value = spike_and_slab_kl(mu, torch.zeros_like(mu), logit, alpha=1e-6)
    assert torch.isfinite(value).all()
    assert all(torch.isfinite(g).all() for g in torch.autograd.grad(value.sum(), (mu, logit)))


@pytest.mark.parametrize("alpha", [0.0, 1.0, -0.1, 1.5, float("nan")])
def test_alpha_must_be_a_probability(alpha):
    one = torch.ones(1)
    with pytest.raises(ValueError, match="alpha must be strictly between 0 and 1"):
        spike_and_slab_kl(one, one, one, alpha)
