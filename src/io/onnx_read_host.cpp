// Operators on tensors that are known while a file is read: the arithmetic of shapes that exporters leave in it. All in double, whole
// numbers to 2^53; an open batch is NaN and stays so.
#include <algorithm>
#include <cmath>

#include "io/onnx_reader.h"

namespace fovea {

namespace {

constexpr std::int64_t most_elements = std::int64_t{1} << 22;

Tensor list_of(const std::vector<double>& values) { return Tensor::of<double>(std::span<const double>(values), {static_cast<std::int64_t>(values.size())}); }

const Tensor& known(const ReadNode& n, int i) {
    n.need(n.is_known(i), "input {} is computed from the data; it is only read where it is known beforehand", i);
    return n.operand(i).tensor;
}

void constant(const ReadNode& n) {
    bool is_integer = false;
    if (const auto* a = n.attribute("value")) {
        Tensor tensor = tensor_attribute(n, a->t(), is_integer);
        return n.set_known(std::move(tensor), is_integer);
    }
    if (const auto* a = n.attribute("value_float")) return n.set_known(Tensor::scalar(static_cast<double>(a->f())), false);
    if (const auto* a = n.attribute("value_int")) return n.set_known(Tensor::scalar(static_cast<double>(a->i()), DType::f64), true);
    std::vector<double> values;
    if (const auto* a = n.attribute("value_floats")) {
        for (const float v : a->floats()) values.push_back(static_cast<double>(v));
        return n.set_known(list_of(values), false);
    }
    const auto* a = n.attribute("value_ints");
    n.need(a != nullptr, "a constant of texts or of sparse values");
    for (const std::int64_t v : a->ints()) values.push_back(static_cast<double>(v));
    n.set_known(list_of(values), true);
}

void shape(const ReadNode& n) {
    n.need(n.outputs() == 1, "{} outputs", n.outputs());
    const Shape& x = n.shape(0);
    const auto place = [&](std::int64_t i) { return std::clamp<std::int64_t>(i < 0 ? i + x.rank() : i, 0, x.rank()); };
    std::vector<double> dims;
    for (std::int64_t d = place(n.integer("start", 0)); d < place(n.integer("end", x.rank())); ++d) {
        const std::int64_t size = x[static_cast<int>(d)];
        dims.push_back(size == dynamic ? open_size : static_cast<double>(size));
    }
    const bool is_whole = static_cast<int>(dims.size()) == x.rank() && !n.is_known(0);
    n.reader().set(n.proto().output(0), {.tensor = list_of(dims), .is_integer = true, .shape_of = is_whole ? n.operand(0).value : Value{}});
}

void size(const ReadNode& n) {
    const std::int64_t count = n.shape(0).elements();
    n.set_known(Tensor::scalar(count == dynamic ? open_size : static_cast<double>(count), DType::f64), true);
}

void cast(const ReadNode& n) {
    const std::int64_t to = n.integer("to", onnx_type::f32);
    const auto stored = stored_as(static_cast<int>(to));
    n.need(stored.has_value(), "to data type {}", to);
    const bool is_integer = held_as(*stored) != DType::f32 && held_as(*stored) != DType::f64;
    Tensor y = known(n, 0).to(DType::f64).clone();
    for (double& v : y.data<double>()) v = *stored == Stored::boolean ? static_cast<double>(v != 0) : is_integer ? std::trunc(v) : v;
    n.set_known(std::move(y), is_integer);
}

void range(const ReadNode& n) {
    const double start = n.number("", 0, 0), limit = n.number("", 1, 0), step = n.number("", 2, 1);
    const double count = std::ceil((limit - start) / step);
    n.need(count <= static_cast<double>(most_elements), "from {} to {} by {}", start, limit, step);
    std::vector<double> values;
    for (std::int64_t i = 0; i < static_cast<std::int64_t>(std::max(count, 0.0)); ++i) values.push_back(start + static_cast<double>(i) * step);
    n.set_known(list_of(values), n.operand(0).is_integer);
}

void constant_of_shape(const ReadNode& n) {
    const auto dims = n.integers(0);
    check_elements(n, dims, most_elements);
    bool is_integer = false;
    double value = 0;
    if (const auto* a = n.attribute("value")) {
        const Tensor given = tensor_attribute(n, a->t(), is_integer);
        n.need(given.elements() == 1, "a value of {} elements", given.elements());
        value = given.at(0);
    }
    Tensor y(Shape(std::span<const std::int64_t>(dims)), DType::f64);
    std::ranges::fill(y.data<double>(), value);
    n.set_known(std::move(y), is_integer);
}

/// f(x) of every element.
template <class F> ReadRule each(F f) {
    return [f](const ReadNode& n) {
        Tensor y = known(n, 0).to(DType::f64).clone();
        for (double& v : y.data<double>()) v = f(v);
        n.set_known(std::move(y), n.operand(0).is_integer);
    };
}

/// f(x, y) of every pair, shapes broadcast.
template <class F> ReadRule pairs(F f, bool is_comparison = false) {
    return [f, is_comparison](const ReadNode& n) {
        const Tensor a = known(n, 0).to(DType::f64), b = known(n, 1).to(DType::f64);
        const int rank = std::max(a.shape().rank(), b.shape().rank());
        const auto dim = [&](const Shape& s, int d) { return d < rank - s.rank() ? 1 : s[d - (rank - s.rank())]; };
        std::vector<std::int64_t> dims;
        for (int d = 0; d < rank; ++d) {
            const std::int64_t p = dim(a.shape(), d), q = dim(b.shape(), d);
            n.need(p == q || p == 1 || q == 1, "{} and {} do not broadcast", a.shape(), b.shape());
            dims.push_back(p == 1 ? q : p);
        }
        check_elements(n, dims, most_elements);
        Tensor y(Shape(std::span<const std::int64_t>(dims)), DType::f64);
        const bool is_integer = n.operand(0).is_integer && n.operand(1).is_integer;
        for (std::int64_t i = 0; i < y.elements(); ++i) {
            std::int64_t rest = i, at_a = 0, at_b = 0, step_a = 1, step_b = 1;
            for (int d = rank - 1; d >= 0; --d) {
                const std::int64_t k = rest % dims[static_cast<std::size_t>(d)], p = dim(a.shape(), d), q = dim(b.shape(), d);
                rest /= dims[static_cast<std::size_t>(d)];
                at_a += p == 1 ? 0 : k * step_a, at_b += q == 1 ? 0 : k * step_b;
                step_a *= p, step_b *= q;
            }
            y.set(i, f(a.at(at_a), b.at(at_b), is_integer));
        }
        n.set_known(std::move(y), is_comparison || is_integer);
    };
}

/// Over all elements or one axis list; sizes need no more than all of a list.
template <class F> ReadRule fold(double start, F f) {
    return [start, f](const ReadNode& n) {
        const Tensor x = known(n, 0).to(DType::f64);
        n.need(x.shape().rank() <= 1, "over {}, known beforehand", x.shape());
        double total = start;
        for (const double v : x.data<double>()) total = f(total, v);
        const bool keep = n.integer("keepdims", 1) != 0 && x.shape().rank() == 1;
        n.set_known(Tensor::of<double>({total}, keep ? Shape{1} : Shape{}), n.operand(0).is_integer);
    };
}

}  // namespace

const std::map<std::string, ReadRule, std::less<>>& host_rules() {
    static const auto comparison = [](auto f) { return pairs([f](double a, double b, bool) { return f(a, b) ? 1.0 : 0.0; }, true); };
    static const std::map<std::string, ReadRule, std::less<>> rules{
        {"Constant", constant},
        {"Shape", shape},
        {"Size", size},
        {"Cast", cast},
        {"Range", range},
        {"ConstantOfShape", constant_of_shape},
        {"Floor", each([](double v) { return std::floor(v); })},
        {"Ceil", each([](double v) { return std::ceil(v); })},
        {"Round", each([](double v) { return std::nearbyint(v); })},
        {"Neg", each([](double v) { return -v; })},
        {"Not", each([](double v) { return v == 0 ? 1.0 : 0.0; })},
        {"Add", pairs([](double a, double b, bool) { return a + b; })},
        {"Sub", pairs([](double a, double b, bool) { return a - b; })},
        {"Mul", pairs([](double a, double b, bool) { return a * b; })},
        {"Div", pairs([](double a, double b, bool is_integer) { return is_integer ? std::trunc(a / b) : a / b; })},
        // The sign of the divisor, as Python's; fmod = 1 asks for C's.
        {"Mod", pairs([](double a, double b, bool) { return a - b * std::floor(a / b); })},
        {"Min", pairs([](double a, double b, bool) { return std::isnan(a) || std::isnan(b) ? open_size : std::min(a, b); })},
        {"Max", pairs([](double a, double b, bool) { return std::isnan(a) || std::isnan(b) ? open_size : std::max(a, b); })},
        {"Equal", comparison([](double a, double b) { return a == b; })},
        {"Less", comparison([](double a, double b) { return a < b; })},
        {"LessOrEqual", comparison([](double a, double b) { return a <= b; })},
        {"Greater", comparison([](double a, double b) { return a > b; })},
        {"GreaterOrEqual", comparison([](double a, double b) { return a >= b; })},
        {"And", comparison([](double a, double b) { return a != 0 && b != 0; })},
        {"Or", comparison([](double a, double b) { return a != 0 || b != 0; })},
        {"ReduceProd", fold(1, [](double a, double b) { return a * b; })},
    };
    return rules;
}

}  // namespace fovea
