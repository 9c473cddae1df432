// AlexNet as it was trained: two devices with half of every layer each. Krizhevsky, Sutskever, Hinton 2012, sec. 3.2 and fig. 2. Start it with
//     mpirun -n 2 example_two_towers [width of the layers, 1 is the paper's]
// Each rank holds one tower. Maps cross over before conv3 and the linear layers, as in the paper, and the two maps beside the border before each response
// normalisation, whose sum runs over neighbouring maps whatever tower they are of (sec. 3.3). The result is that of the net with groups on one device.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fovea/fovea.h>

using namespace fovea;

/// One of two towers with the layers, names and halves of the weights of "alexnet_2012".
class Tower {
public:
    Tower(const Graph& whole, int rank) : whole_(whole), rank_(rank) {}

    Graph build(const Shape& image) {
        Graph net;
        Value x = conv(net.input("image", image), "conv1", 4, 0);
        x = conv(pool(norm(x)), "conv2", 1, 2);
        x = conv(both(pool(norm(x))), "conv3", 1, 1);
        x = conv(conv(x, "conv4", 1, 1), "conv5", 1, 1);
        x = both(relu(half_linear(flatten(both(pool(x))), "fc6")));
        x = both(relu(half_linear(x, "fc7")));
        net.output("out", both(half_linear(x, "fc8")));
        return net;
    }

    /// This tower's rows of every weight.
    Parameters half(const Parameters& all) const {
        Parameters mine;
        for (const std::string& name : all.names()) {
            const Tensor& whole = all.at(name);
            Shape shape = whole.shape();
            shape[0] /= 2;
            const auto count = static_cast<std::size_t>(shape.elements());
            mine.set(name, Tensor::of(whole.data<float>().subspan(count * static_cast<std::size_t>(rank_), count), shape));
        }
        return mine;
    }

    /// Numbers per picture that come from the other tower.
    std::int64_t received() const { return received_; }

private:
    Value both(const Value& x) {
        received_ += x.shape().elements() / x.shape()[0];
        return all_gather_channels(x, rank_, 2);
    }
    std::int64_t half_of(const std::string& weight) const { return whole_.find_parameter(weight)->type.shape[0] / 2; }
    Value conv(const Value& x, const std::string& name, std::int64_t stride, std::int64_t pad) {
        return relu(conv2d(x, {.out = half_of(name + ".weight"), .kernel = whole_.find_parameter(name + ".weight")->type.shape[2], .stride = stride, .pad = pad}, name));
    }
    Value half_linear(const Value& x, const std::string& name) { return linear(x, {.out = half_of(name + ".weight")}, name); }
    static Value pool(const Value& x) { return max_pool(x, {.kernel = 3, .stride = 2}); }
    Value norm(const Value& x) {
        const std::int64_t maps = x.shape()[1];
        const bool is_first = rank_ == 0;
        const Value border = both(slice(x, {.axis = 1, .start = is_first ? maps - 2 : 0, .stop = is_first ? maps : 2}));
        const Value theirs = slice(border, {.axis = 1, .start = is_first ? 2 : 0, .stop = is_first ? 4 : 2});
        const Value wide = lrn(concat(is_first ? std::vector{x, theirs} : std::vector{theirs, x}), {.size = 5, .alpha = 1e-4, .beta = 0.75, .k = 2, .convention = LrnConvention::krizhevsky});
        return slice(wide, {.axis = 1, .start = is_first ? 0 : 2, .stop = is_first ? maps : maps + 2});
    }

    const Graph& whole_;
    int rank_;
    std::int64_t received_ = 0;
};

int main(int argc, char** argv) {
    const double width = argc > 1 ? std::atof(argv[1]) : 0.25;
    const std::unique_ptr<Communicator> ranks = open_communicator();
    if (ranks->size() != 2) {
        std::fprintf(stderr, "two ranks hold the two towers: mpirun -n 2 %s\n", argv[0]);
        return 2;
    }
    const Shape image{2, 3, 227, 227};
    const Graph whole = build_model("alexnet_2012", {.width_multiplier = width});
    const Parameters parameters = make_parameters(whole, 0);
    Tensor pictures(image);
    const Rng rng(1, hash_name("pictures"));
    for (std::int64_t i = 0; i < pictures.elements(); ++i) pictures.set(i, 50 * rng.normal(static_cast<std::uint64_t>(i)));

    CompileOptions options;
    options.inference = true;
    Tower tower(whole, ranks->rank());
    const Graph half = tower.build(image);
    Program two_devices(half.clone(), std::make_shared<State>(tower.half(parameters)), options), one_device(whole.clone(), std::make_shared<State>(parameters), options);
    const Tensor together = two_devices.run({{"image", pictures}}, {.place = {.ranks = ranks.get()}}).front(), alone = one_device.run({{"image", pictures}}).front();
    double difference = 0, largest = 0;
    for (std::int64_t i = 0; i < alone.elements(); ++i) {
        difference = std::max(difference, std::abs(together.at(i) - alone.at(i)));
        largest = std::max(largest, std::abs(alone.at(i)));
    }
    std::printf("rank %d: %lld of %lld parameters, %lld numbers a picture from the other tower; largest difference %.1e of %.1e\n", ranks->rank(),
                static_cast<long long>(half.trainable_scalars()), static_cast<long long>(whole.trainable_scalars()), static_cast<long long>(tower.received()), difference, largest);
    // f32 sums of up to 9,216 products in another order: about 1e-6 of the result.
    return difference <= 1e-5 * largest ? 0 : 1;
}
