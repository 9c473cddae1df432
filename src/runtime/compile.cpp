// compile(): passes, then kernels and layouts node by node, then stages and memory.
#include <algorithm>

#include "fovea/passes.h"
#include "ops/axis_maps.h"
#include "runtime/choose.h"
#include "runtime/executable.h"
#include "runtime/pipeline.h"
#include "runtime/placement.h"

namespace fovea {

namespace {

/// Rows a batch is cut into: a function of the shapes alone, so that no result depends on the number of threads. At least eight parts
/// where there are rows for them; more when a part of the largest activation would not stay in a core's second-level cache.
std::vector<std::int64_t> cut_rows(const Graph& graph, std::int64_t rows) {
    constexpr std::int64_t least_parts = 8, most_parts = 32, part_bytes = 1024 << 10;
    std::int64_t largest = 0;
    for (const Node& node : graph.nodes())
        for (const Type& type : node.outputs)
            if (type.shape.rank() == 4 && type.shape[0] == rows) largest = std::max(largest, type.shape.elements() * 4);
    const std::int64_t wanted = (largest / part_bytes + least_parts - 1) / least_parts * least_parts;  // whole eights share out evenly
    const std::int64_t parts = std::min(rows, std::clamp(wanted, least_parts, most_parts));
    std::vector<std::int64_t> bounds;
    for (std::int64_t p = 0; p <= parts; ++p) bounds.push_back(rows * p / parts);
    return bounds;
}

// Waking a second core and meeting it again costs some ten microseconds: what one core does in that time it does alone.
constexpr std::int64_t serial_operations = 4'000'000;

std::int64_t total_operations(const Graph& graph) {
    std::int64_t total = 0;
    for (const Node& node : graph.nodes())
        if (node.op->cost) {
            const Cost cost = cost_of(node);
            total += std::max(2 * cost.macs, cost.operations);
        }
    return total;
}

/// The batch: dimension 0 of the first input of rank >= 2, else of any input.
std::int64_t batch_rows(const Graph& graph) {
    for (int least_rank : {2, 1})
        for (const Value& input : graph.inputs())
            if (input.shape().rank() >= least_rank) return std::max<std::int64_t>(1, input.shape()[0]);
    return 1;
}

class Planner {
public:
    Planner(Executable::Impl& program, const CompileOptions& options) : p_(program) {
        p_.context.real = p_.real;
        p_.context.rows = batch_rows(p_.graph);
        p_.context.row_bounds = cut_rows(p_.graph, p_.context.rows);
        p_.context.is_serial = total_operations(p_.graph) < serial_operations;
        p_.context.is_inference = options.inference;
        p_.context.allows_winograd = options.winograd != Winograd4x4::never;
        p_.context.forces_winograd = options.winograd == Winograd4x4::always;
        const std::string unmet = unmet_precision(options);
        p_.precision = unmet.empty() ? options.precision : Precision::f32;
        if (!unmet.empty()) p_.fallbacks.push_back(unmet);
        p_.context.has_fixed_parameters = is_fixed();
        p_.context.stores_bf16 = p_.precision == Precision::bf16;
        p_.context.stored = [this](const Value& value) { return buffer_of(value).layout; };
        p_.context.layout = [this](const Value& value) {
            const Layout& layout = buffer_of(value).layout;
            return layout && !layout->is_plain() ? layout->plain() : layout;
        };
        p_.context.home = [this](const Node& node, int output) {
            const auto it = homes_.find({node.id, output});
            return it == homes_.end() ? nullptr : it->second.layout;
        };
        p_.context.may_overwrite = [this](const Node& node, int input) { return may_overwrite(node, input); };
        p_.context.is_placed = [this](const Node& node, int input) { return is_placed(node, input); };
        p_.context.is_undecided = [this](const Value& value) { return undecided_.contains(id_of(value)); };
        p_.context.is_read = [this](const Node& node, int output) { return last_reader_.contains({node.id, output}); };
        p_.context.only_reader = [this](const Node& node) { return only_reader(node); };
        for (const ParameterInfo& info : p_.graph.parameters()) p_.context.weight_bytes += static_cast<std::int64_t>(row_major_bytes(info.type, p_.real));
        if (options.autotune || !options.plan_cache.empty()) {
            const auto chooser = std::make_shared<Chooser>(*p_.backend, options, p_.precision);
            if (const std::string trouble = chooser->trouble(); !trouble.empty()) p_.fallbacks.push_back(trouble);
            p_.context.choose = [this, chooser](const Node& node, std::vector<Candidate>& candidates, const auto& plan) { return chooser->choose(node, candidates, plan, p_.context); };
        }
    }

    void run() {
        count_uses();
        for (const auto& [parameter, value] : p_.graph.updates()) updates_[key(value)] = parameter.path();
        homes_ = plan_placement(p_.graph, *p_.backend, p_.context);
        for (const Node& node : p_.graph.nodes())
            if (is_source(node)) plan_source(node);
        for (const Node& node : p_.graph.nodes())
            if (!is_source(node)) plan(node);
        for (const auto& [name, value] : p_.graph.outputs()) {
            p_.outputs.push_back({name, value.type()});
            p_.output_buffers.push_back(in_layout(value, nullptr));
        }
        finish_updates();
        std::vector<int> kept = p_.output_buffers;
        for (const auto& [parameter, buffer] : p_.copies) kept.push_back(buffer);
        plan_stages(p_, kept);
        plan_memory(p_, kept);
        p_.context.choose = nullptr;  // the plan is made: what is kept of the context holds no reference to this
        for (const Item& item : p_.items) {
            p_.plan.push_back(item.line);
            p_.workspace_bytes = std::max(p_.workspace_bytes, item.kernel.workspace_bytes);
        }
    }

private:
    using Key = ValueKey;
    static bool is_source(const Node& node) { return node.op->name == "input" || node.op->name == "parameter" || node.op->name == "constant"; }
    static bool is_slice(const Buffer& buffer) { return buffer.layout && buffer.layout->is_slice(); }
    static Key key(const Value& value) { return {value.id(), value.output()}; }
    [[nodiscard]] int id_of(const Value& value) const {
        const auto it = ids_.find(key(value));
        require(it != ids_.end(), "plan: '{}' is used before it is made", value.path());
        return it->second;
    }
    Buffer& at(int id) { return p_.buffers[static_cast<std::size_t>(id)]; }
    Buffer& buffer_of(const Value& value) { return at(id_of(value)); }

    int new_buffer(const Type& type, const Layout& layout, const std::string& path) {
        Buffer buffer{.type = type, .layout = layout, .bytes = bytes_of(type, layout, p_.real), .path = path};
        buffer.root = static_cast<int>(p_.buffers.size());
        p_.buffers.push_back(std::move(buffer));
        return p_.buffers.back().root;
    }

    void count_uses() {
        for (const Node& node : p_.graph.nodes())
            for (std::size_t i = 0; i < node.inputs.size(); ++i)
                if (!node.inputs[i].is_empty() && node.op->reads_values_of(i)) last_reader_[key(node.inputs[i])] = node.id, ++reads_[key(node.inputs[i])];
        for (const auto& [name, value] : p_.graph.outputs()) last_reader_[key(value)] = static_cast<int>(p_.graph.nodes().size());
        for (const auto& [parameter, value] : p_.graph.updates()) last_reader_[key(value)] = static_cast<int>(p_.graph.nodes().size());
    }

    const Node* only_reader(const Node& node) const {
        int reader = -1;
        for (int o = 0; o < static_cast<int>(node.outputs.size()); ++o) {
            const auto it = last_reader_.find({node.id, o});
            if (it == last_reader_.end()) continue;
            if (reader >= 0 || it->second >= static_cast<int>(p_.graph.nodes().size()) || reads_.at({node.id, o}) != 1) return nullptr;
            reader = it->second;
        }
        return reader < 0 ? nullptr : &p_.graph.node(reader);
    }

    void plan(const Node& node) {
        if (done_.contains(node.id)) return;
        if (node.op->is_view) return plan_view(node);
        if (node.op->name == "slice" && plan_slice(node)) return;
        std::optional<Kernel> kernel = p_.backend->plan(node, p_.context);
        if (!kernel) {
            kernel = plan_loops(node, p_.real);
            kernel->fallback = fmt::format("{} '{}': the {} backend has no kernel for it; the plain loops run it", node.op->name, node.path, p_.backend->name());
        }
        if (!kernel->fallback.empty()) p_.fallbacks.push_back(kernel->fallback);
        std::vector<int> in;
        std::vector<const Value*> values;  // of `in`
        for (std::size_t i = 0; i < node.inputs.size(); ++i) {
            const Value& input = node.inputs[i];
            values.push_back(&input);
            const bool is_absent = input.is_empty() || !node.op->reads_values_of(i) || (node.op->name == "concat" && is_placed(node, static_cast<int>(i)));
            in.push_back(is_absent ? -1 : in_layout(input, kernel->in[i]));
        }
        const Node* last = &node;
        for (const Node* next : kernel->through) {
            for (const Value& input : next->inputs)
                if (input.is_empty() || input.id() != last->id) {
                    values.push_back(&input);
                    in.push_back(input.is_empty() ? -1 : in_layout(input, kernel->in[in.size()]));
                }
            done_.insert(next->id);
            last = next;
        }
        add_item(node, *last, std::move(*kernel), std::move(in), values);
    }

    void plan_source(const Node& node) {
        const Value value(const_cast<Graph*>(&p_.graph), node.id, 0);
        const int id = new_buffer(node.outputs[0], nullptr, node.path);
        ids_[key(value)] = id;
        sharers_[id].push_back(key(value));
        if (node.op->name == "input") {
            at(id).place = Buffer::Place::input;
            at(id).index = static_cast<int>(p_.inputs.size());
            p_.inputs.push_back({node.path, node.outputs[0]});
            p_.input_buffers.push_back(id);
        } else if (node.op->name == "parameter") {
            at(id).place = Buffer::Place::parameter;
            at(id).index = static_cast<int>(p_.parameters.size());
            p_.parameters.push_back(*p_.graph.find_parameter(node.path));
            p_.parameter_buffers.push_back(id);
            undecided_.insert(id);
            parameter_index_[node.path] = at(id).index;
        } else {
            at(id).place = Buffer::Place::constant;
            at(id).index = static_cast<int>(p_.constants.size());
            p_.constants.push_back(node.attrs.tensor("value").to(stored_as(node.outputs[0].dtype, p_.real)));
        }
    }

    void plan_view(const Node& node) {
        const int source = in_layout(node.inputs[0], nullptr);
        const int id = new_buffer(node.outputs[0], nullptr, node.path);
        at(id).root = at(source).root;
        at(id).place = at(source).place;
        at(id).index = at(source).index;
        ids_[key(Value(const_cast<Graph*>(&p_.graph), node.id, 0))] = id;
        sharers_[at(id).root].push_back({node.id, 0});
    }

    /// Some channels of a map, as they lie in it. False where they need a kernel: another axis, another layout, or a place in a joined map.
    bool plan_slice(const Node& node) {
        const Value& whole = node.inputs[0];
        if (node.attrs.integer("axis") != 1 || node.attrs.integer("step") != 1 || homes_.contains({node.id, 0})) return false;
        const Buffer source = buffer_of(whole);
        const auto layouts = p_.backend->joined(node.outputs[0], is_slice(source) ? at(source.root).type : source.type, p_.context);
        if (!layouts || source.place != Buffer::Place::arena || !source.layout || !(is_slice(source) || same_layout(source.layout, layouts->whole))) return false;
        const int id = new_buffer(node.outputs[0], layouts->part, node.path);
        at(id).root = source.root;
        at(id).shift = source.shift + static_cast<std::size_t>(slice_maps(whole.shape(), node.outputs[0].shape, node.attrs)[1].front()) * sizeof(float);
        at(id).place = source.place;
        at(id).index = source.index;
        ids_[{node.id, 0}] = id;
        sharers_[source.root].emplace_back(node.id, 0);
        return true;
    }

    /// The map that a concat joins, where one of its parts already has its place or the concat is planned.
    int joined_map(int whole, const Layout& layout) {
        const auto [it, is_new] = joined_.try_emplace(whole, -1);
        if (is_new) it->second = new_buffer(p_.graph.node(whole).outputs[0], layout, p_.graph.node(whole).path);
        return it->second;
    }

    /// The buffer of an output in the layout its kernel gives: its own memory, or a slice of the map it is joined to.
    int output_buffer(const Value& value, const Layout& layout) {
        if (joined_.contains(value.id())) return joined_.at(value.id());
        const int id = new_buffer(value.type(), layout, value.node().path);
        const auto home_at = homes_.find(key(value));
        if (!is_slice(at(id)) || home_at == homes_.end()) return id;
        const Slice& home = home_at->second;
        at(id).root = joined_map(home.whole, home.whole_layout);
        at(id).shift = static_cast<std::size_t>(home.first) * sizeof(float);
        return id;
    }

    /// Whether input i of a concat lies where the joined map has it.
    [[nodiscard]] bool is_placed(const Node& concat, int input) const {
        const Value& part = concat.inputs[static_cast<std::size_t>(input)];
        const auto own = homes_.find({concat.id, 0});
        const auto map = joined_.find(own == homes_.end() ? concat.id : own->second.whole);
        if (map == joined_.end() || concat.attrs.integer("axis") != 1) return false;
        std::int64_t first = own == homes_.end() ? 0 : own->second.first;
        for (int i = 0; i < input; ++i) first += concat.inputs[static_cast<std::size_t>(i)].shape()[1];
        const Buffer& buffer = p_.buffers[static_cast<std::size_t>(id_of(part))];
        return is_slice(buffer) && buffer.root == map->second && buffer.shift == static_cast<std::size_t>(first) * sizeof(float);
    }

    /// The buffer that holds `value` in `layout`: its own, or one a reorder fills (once per layout).
    int in_layout(const Value& value, const Layout& layout) {
        const int id = id_of(value);
        const bool is_one_way = layout && layout->is_one_way();
        if (undecided_.contains(id) && !(is_one_way && is_fixed())) {
            undecided_.erase(id);
            at(id).layout = is_one_way ? layout->made_from() : layout;
            at(id).bytes = bytes_of(at(id).type, at(id).layout, p_.real);
            if (!is_one_way) return id;
        }
        if (same_layout(at(id).layout, layout)) return id;
        for (int other : reordered_[id])
            if (same_layout(at(other).layout, layout)) return other;
        if (at(id).place == Buffer::Place::constant && at(id).layout == nullptr) return reordered_constant(id, layout);
        if (is_one_way && is_fixed() && at(id).place == Buffer::Place::parameter) return packed(id, layout);
        if (is_one_way && at(id).layout && !same_layout(at(id).layout, layout->made_from())) return reordered(in_layout(value, layout->made_from()), id, layout, position_of(value));
        return reordered(id, id, layout, is_one_way ? position_of(value) : p_.items.size());
    }

    /// No run changes a parameter: what is made of them once holds for every run.
    [[nodiscard]] bool is_fixed() const { return p_.graph.updates().empty(); }

    /// A parameter's one-way form, which the State makes and keeps beside it.
    int packed(int id, const Layout& layout) {
        const int target = new_buffer(at(id).type, layout, at(id).path);
        at(target).place = Buffer::Place::packed;
        at(target).index = static_cast<int>(p_.packed.size());
        p_.packed.emplace_back(at(id).index, target);
        reordered_[id].push_back(target);
        return target;
    }

    /// Where the one-way form of a value is made: for a parameter before the convolution in front of its reader, so that no barrier
    /// parts the reader from what comes before it.
    [[nodiscard]] std::size_t position_of(const Value& value) const {
        std::size_t position = p_.items.size();
        if (value.node().op->name != "parameter") return position;
        while (position > 0 && !p_.items[position - 1].line.op.starts_with("conv2d")) --position;
        return position > 0 ? position - 1 : 0;
    }

    /// Adds the reorder of buffer `source`, a form of buffer `id`, before item number `position`, or behind what fills the source.
    int reordered(int source, int id, const Layout& layout, std::size_t position) {
        for (std::size_t i = p_.items.size(); i > position; --i)
            if (std::ranges::find(p_.items[i - 1].out, source) != p_.items[i - 1].out.end()) position = i;
        Kernel kernel = p_.backend->reorder(at(source).type, at(source).layout, layout, p_.context);
        const int target = new_buffer(at(source).type, layout, at(source).path);
        reordered_[id].push_back(target);
        Item item{.kernel = std::move(kernel), .in = {source}, .out = {target}};
        item.line = {.path = at(source).path, .op = "reorder", .kernel = item.kernel.name, .layout = layout_name(at(source).layout) + " -> " + layout_name(layout),
                     .bytes = static_cast<std::int64_t>(at(source).bytes + at(target).bytes)};
        p_.items.insert(p_.items.begin() + static_cast<std::ptrdiff_t>(position), std::move(item));
        return target;
    }

    int reordered_constant(int id, const Layout& layout) {
        const int target = new_buffer(at(id).type, layout, at(id).path);
        Tensor moved({static_cast<std::int64_t>(at(target).bytes)}, DType::u8);
        reorder_now(*p_.backend, at(id).type, nullptr, p_.constants[static_cast<std::size_t>(at(id).index)].raw(), layout, moved.raw(), p_.real);
        at(target).place = Buffer::Place::constant;
        at(target).index = static_cast<int>(p_.constants.size());
        p_.constants.push_back(moved);
        reordered_[id].push_back(target);
        return target;
    }

    /// The kernel of `first` makes the outputs of `node`: the same, or one that the kernel does as well.
    void add_item(const Node& first, const Node& node, Kernel kernel, std::vector<int> in, const std::vector<const Value*>& values) {
        Item item;
        std::uint32_t writes = 0;
        for (const Phase& phase : kernel.phases) writes |= phase.writes;
        if (node.op->name == "concat") writes = 1;  // also where its parts are all in their places
        for (std::size_t o = 0; o < node.outputs.size(); ++o) {
            if (!(writes >> std::min<std::size_t>(o, 31) & 1)) {
                item.out.push_back(-1);
                continue;
            }
            const Layout layout = o < kernel.out.size() ? kernel.out[o] : nullptr;
            const Value value(const_cast<Graph*>(&p_.graph), node.id, static_cast<int>(o));
            const int id = output_buffer(value, layout);
            ids_[key(value)] = id;
            sharers_[at(id).root].push_back(key(value));
            item.out.push_back(id);
            // With no other node between the kernel's own, nobody but these can read on before the last.
            const bool is_gapless = node.id - first.id == static_cast<int>(kernel.through.size());
            if (o < kernel.in_place.size() && kernel.in_place[o] >= 0) try_in_place(is_gapless ? node : first, value, id, in, *values[static_cast<std::size_t>(kernel.in_place[o])], kernel.in_place[o]);
            require(!is_slice(at(id)) || at(id).root != id, "plan: '{}' has no map to be a slice of", node.path);
        }
        item.line = line_of(first, kernel);
        if (kernel.candidates.size() > 1) {
            PlanChoice& choice = p_.choices.emplace_back(PlanChoice{.path = first.path, .op = first.op->name, .problem = problem_of(first, p_.precision), .ways = {}});
            for (const Candidate& candidate : kernel.candidates) choice.ways.push_back({candidate.name, candidate.predicted_ms, candidate.measured_ms});
        }
        for (int id : in) item.line.bytes += id >= 0 ? static_cast<std::int64_t>(at(id).bytes) : 0;
        if (node.op->name == "concat") item.line.bytes *= 2;  // what it copies is what it writes
        else
            for (int id : item.out) item.line.bytes += id >= 0 ? static_cast<std::int64_t>(at(id).bytes) : 0;
        item.kernel = std::move(kernel);
        item.in = std::move(in);
        p_.items.push_back(std::move(item));
    }

    /// Whether nobody reads what lies in the bytes of a buffer after the node, an input of which it is; of a slice only its own channels count.
    bool is_given_up(const Node& node, int buffer) {
        const auto range = [&](const Buffer& b) {
            return is_slice(b) ? std::pair{b.shift, b.shift + static_cast<std::size_t>(b.type.shape[1]) * sizeof(float)} : std::pair{std::size_t{0}, ~std::size_t{0}};
        };
        const std::pair own = range(at(buffer));  // not a structured binding: Clang before 16 captures none
        return std::ranges::none_of(sharers_[at(buffer).root], [&](const Key& sharer) {
            const auto it = last_reader_.find(sharer);
            const auto [from, to] = range(at(ids_.at(sharer)));
            return it != last_reader_.end() && it->second > node.id && from < own.second && own.first < to;
        });
    }

    /// Whether output 0 may take the place of an input that is a slice.
    bool may_overwrite(const Node& node, int input) {
        const Buffer& in = buffer_of(node.inputs[static_cast<std::size_t>(input)]);
        const auto reads = std::ranges::count_if(node.inputs, [&](const Value& other) { return !other.is_empty() && buffer_of(other).root == in.root; });
        return is_slice(in) && in.place == Buffer::Place::arena && reads == 1 && !homes_.contains({node.id, 0}) && is_given_up(node, id_of(node.inputs[static_cast<std::size_t>(input)]));
    }

    /// Shares the bytes of an input, the value `given`, with the output where nobody reads them after the node.
    void try_in_place(const Node& node, const Value& value, int out, const std::vector<int>& ins, const Value& given, int input) {
        const int in = ins[static_cast<std::size_t>(input)];
        // A reordered copy may still serve other readers of the same value: only the value's own buffer is given up.
        if (in < 0 || at(in).root != buffer_of(given).root) return;
        // The same bytes must not be read through another input as well.
        if (std::ranges::count_if(ins, [&](int other) { return other >= 0 && at(other).root == at(in).root; }) > 1) return;
        if (at(out).root != out || joined_.contains(value.id())) return;  // it lies in a joined map, or is one
        const auto is_bytes = [](const Layout& layout) { return layout && layout->is_bytes(); };
        const bool are_alike = same_layout(at(in).layout, at(out).layout) || (is_bytes(at(in).layout) && is_bytes(at(out).layout));  // on different grids
        if (!are_alike || at(in).bytes != at(out).bytes || !is_given_up(node, in)) return;
        const int root = at(in).root;
        const Buffer source = at(root);
        if (source.place == Buffer::Place::parameter) {
            // A parameter is overwritten only by its own update, after its last reader.
            const auto update = updates_.find(key(value));
            if (update == updates_.end() || parameter_index_.at(update->second) != source.index) return;
            p_.updated.insert(source.index);
            done_updates_.insert(key(value));
        } else if (source.place != Buffer::Place::arena) {
            return;
        }
        at(out).root = root;
        at(out).shift = at(in).shift;
        at(out).place = source.place;
        at(out).index = source.index;
        sharers_[root].push_back(key(value));
    }

    void finish_updates() {
        for (const auto& [parameter, value] : p_.graph.updates()) {
            if (done_updates_.contains(key(value))) continue;
            const int index = parameter_index_.at(parameter.path());
            p_.copies.emplace_back(index, in_layout(value, at(id_of(parameter)).layout));
            p_.updated.insert(index);
        }
    }

    static std::int64_t operations_of(const Node& node) {
        if (!node.op->cost) return 0;
        const Cost cost = cost_of(node);
        return cost.macs ? 2 * cost.macs : cost.operations;
    }

    /// A kernel that does several nodes is named after the one with most work.
    PlanLine line_of(const Node& first, const Kernel& kernel) const {
        std::vector<const Node*> nodes{&first};
        nodes.insert(nodes.end(), kernel.through.begin(), kernel.through.end());
        const auto most = std::ranges::max_element(nodes, {}, [](const Node* n) { return operations_of(*n); });
        const Node& node = **most;
        PlanLine line{.path = node.path, .op = node.op->name, .kernel = kernel.name, .layout = kernel.out.empty() ? "" : layout_name(kernel.out[0])};
        if (node.op->name == "conv2d" && node.inputs.size() > 2 && !node.inputs[2].is_empty()) line.fused += "bias ";
        if (node.attrs.flag("fused_batch_norm")) line.fused += "batch_norm ";
        const std::size_t residual = node.op->name == "batch_norm" ? 5 : 3;
        if ((node.op->name == "conv2d" || node.op->name == "batch_norm") && node.inputs.size() > residual) line.fused += "add ";
        line.fused += node.attrs.text("activation");
        const auto joined = [](const std::string& a, const std::string& b) { return a + (a.empty() || b.empty() || a.back() == ' ' ? "" : " ") + b; };
        std::string before;
        for (auto it = nodes.begin(); it != most; ++it) before = joined(before, joined((*it)->op->name, (*it)->attrs.text("activation")));
        if (!before.empty()) line.fused = joined("after " + before + (line.fused.empty() ? "" : ","), line.fused);
        for (auto it = most + 1; it != nodes.end(); ++it) line.fused = joined(line.fused, joined((*it)->op->name, (*it)->attrs.text("activation")));
        line.problem = problem_of(node, p_.precision);
        for (const Node* n : nodes) line.operations += operations_of(*n);
        return line;
    }

    Executable::Impl& p_;
    std::map<Key, int> ids_;
    std::map<Key, Slice> homes_;
    std::map<int, int> joined_;  // concat -> the buffer of its output
    std::map<Key, int> last_reader_;
    std::map<int, std::vector<Key>> sharers_;  // root -> the values that live in its bytes
    std::map<Key, std::string> updates_;
    std::map<std::string, int> parameter_index_;
    std::set<Key> done_updates_;
    std::set<int> undecided_;
    std::set<int> done_;  // nodes that have a kernel
    std::map<Key, int> reads_;
    std::map<int, std::vector<int>> reordered_;
};

}  // namespace

void reorder_now(const Backend& backend, const Type& type, const Layout& from, const std::byte* source, const Layout& to, std::byte* target, DType real) {
    PlanContext context;
    context.real = real;
    context.row_bounds = {0, 1};
    const Kernel kernel = backend.reorder(type, from, to, context);
    std::byte* in[] = {const_cast<std::byte*>(source)};
    std::byte* out[] = {target};
    AlignedBytes scratch(kernel.scratch_bytes);
    for (const Phase& phase : kernel.phases)
        for (int part = 0; part < (phase.kind == Phase::Kind::split ? phase.parts : 1); ++part)
            phase.run({.in = in, .out = out, .scratch = scratch.data()}, {.index = part, .count = phase.parts, .begin = 0, .end = 1});
}

std::string unmet_precision(const CompileOptions& options) {
    const Backend& backend = find_backend(options.backend);
    if (options.precision != Precision::bf16 || backend.lacks_bf16().empty()) return {};
    return fmt::format("bf16: {}; the {} backend runs f32", backend.lacks_bf16(), backend.name());
}

Executable compile(const Graph& graph, const std::map<std::string, Shape>& input_shapes, const CompileOptions& options) {
    require<BackendError>(options.backend != "cpu" || options.precision != Precision::f64, "cpu backend: f64 is not supported (f32, bf16 are); the reference backend runs it");
    Executable::Impl common;
    common.backend = &find_backend(options.backend);
    common.real = options.precision == Precision::f64 ? DType::f64 : DType::f32;
    const Graph passed = run_passes(graph, input_shapes, options, common.prologue, common.derived);
    for (const Value& input : passed.inputs())
        require<ShapeError>(!input.shape().is_dynamic(), "compile: input '{}' is {}; give its shape", input.path(), input.shape());
    const auto planned = [&](Recompute mode) {
        auto program = std::make_shared<Executable::Impl>();
        program->backend = common.backend;
        program->real = common.real;
        program->prologue = common.prologue.clone();
        program->derived = common.derived;
        program->graph = mode == Recompute::none ? passed.clone() : recompute(passed, mode);
        if (mode != Recompute::none) {
            program->recomputed = {mode, static_cast<std::int64_t>(program->graph.nodes().size()) - static_cast<std::int64_t>(passed.nodes().size()),
                                   relative_time(program->graph) / relative_time(passed) - 1};
            if (options.on_pass) options.on_pass("recomputed", program->graph);
        }
        const bool is_on_grids = std::ranges::any_of(program->graph.nodes(), [](const Node& node) { return node.op->name == "fake_quantize"; });
        if (const std::string lack = program->backend->lacks_int8(); is_on_grids && !lack.empty())
            program->fallbacks.push_back(fmt::format("int8: {}; the {} backend computes the same grids in f32", lack, program->backend->name()));
        Planner(*program, options).run();
        return program;
    };
    std::shared_ptr<Executable::Impl> least;
    for (Recompute mode : {Recompute::none, Recompute::cheap, Recompute::blocks}) {
        if (options.inference && mode != Recompute::none) break;
        // The scratch of what is made twice may outweigh small maps: the smallest arena up to the mode asked for is taken.
        auto program = planned(mode);
        if (!least || program->session_bytes() < least->session_bytes()) least = std::move(program);
        if (!options.inference && mode < options.recompute) continue;
        if (options.memory_limit == 0 || least->session_bytes() <= options.memory_limit) return Executable(std::move(least));
    }
    fail<Error>("compile: the arena takes {} bytes{}, the limit is {}; a smaller batch takes less", least->session_bytes(),
                        options.inference ? "" : " whatever is made again", options.memory_limit);
}

}  // namespace fovea
