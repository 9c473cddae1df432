// Matching the tensors of a file to the parameters of a network.
#include <algorithm>
#include <set>

#include "core/text.h"
#include "fovea/io.h"

namespace fovea {

namespace {

struct Wanted {
    std::string name;
    Shape shape;
};

/// A counter that PyTorch added in 0.4.1 and nothing reads: older files and other formats lack it.
bool is_counter(std::string_view name) { return name.ends_with("num_batches_tracked"); }

/// "missing 'a' [2], 'b' [3] and 7 more"
std::string some(const std::vector<std::string>& names, const std::map<std::string, Shape, std::less<>>& shapes) {
    constexpr std::size_t shown = 3;
    std::string text;
    for (std::size_t i = 0; i < std::min(shown, names.size()); ++i) text += fmt::format("{}'{}' {}", i == 0 ? "" : ", ", names[i], shapes.find(names[i])->second);
    if (names.size() > shown) text += fmt::format(" and {} more", names.size() - shown);
    return text;
}

class Matcher {
public:
    Matcher(const std::vector<Wanted>& wanted, const Parameters& source, const LoadOptions& options) : wanted_(wanted), options_(options) {
        const bool strip = !options.strip_prefix.empty() && source.size() > 0 &&
                           std::ranges::all_of(source.names(), [&](const std::string& name) { return name.starts_with(options.strip_prefix); });
        for (const std::string& name : source.names()) {
            const std::string stripped = strip ? name.substr(options.strip_prefix.size()) : name;
            given_[stripped] = name;
            given_shapes_[stripped] = source.at(name).shape();
            order_.push_back(stripped);
        }
        for (const Wanted& w : wanted) wanted_shapes_[w.name] = w.shape;
    }

    LoadReport match() {
        LoadReport report;
        const std::set<std::string, std::less<>> keep(options_.keep.begin(), options_.keep.end());
        const auto is_asked = [&](std::string_view name) { return name.starts_with(options_.only) && !keep.contains(name); };
        const bool shares_a_name = std::ranges::any_of(wanted_, [&](const Wanted& w) { return given_.contains(w.name); });
        if (!shares_a_name && options_.in_order && take_in_order(report, is_asked)) return report;
        for (const Wanted& w : wanted_) {
            const auto it = given_.find(w.name);
            if (!is_asked(w.name)) {
                report.kept.push_back(w.name);
            } else if (it == given_.end()) {
                if (!is_counter(w.name)) report.missing.push_back(w.name);
            } else if (given_shapes_.find(w.name)->second != w.shape) {
                report.mismatched.push_back(fmt::format("'{}' is {} in the network and {} in the file", w.name, w.shape, given_shapes_.find(w.name)->second));
            } else {
                report.matched.emplace_back(w.name, it->second);
            }
        }
        for (const std::string& name : order_)
            if (!wanted_shapes_.contains(name) && name.starts_with(options_.only)) report.unexpected.push_back(name);
        find_nearest(report);
        return report;
    }

    void check(const LoadReport& report) const {
        const bool is_fine = report.mismatched.empty() && (report.missing.empty() || options_.allow_missing) && (report.unexpected.empty() || options_.allow_unexpected);
        if (!is_fine) throw FormatError(describe(report));
        require<FormatError>(!report.matched.empty() || wanted_.empty() || options_.allow_missing || options_.only.empty(), "load '{}': no parameter begins with '{}'", options_.name,
                             options_.only);
    }

private:
    /// Files of formats with other names keep the order of the layers: every shape has to agree with the network's, one by one.
    template <class F> bool take_in_order(LoadReport& report, const F& is_asked) const {
        std::vector<const Wanted*> targets;
        std::vector<std::string_view> sources;
        for (const Wanted& w : wanted_)
            if (!is_counter(w.name)) targets.push_back(&w);
        for (const std::string& name : order_)
            if (!is_counter(name)) sources.push_back(name);
        if (targets.empty() || targets.size() != sources.size()) return false;
        for (std::size_t i = 0; i < targets.size(); ++i)
            if (is_asked(targets[i]->name) && targets[i]->shape != given_shapes_.find(sources[i])->second) return false;
        for (std::size_t i = 0; i < targets.size(); ++i) {
            if (is_asked(targets[i]->name)) report.matched.emplace_back(targets[i]->name, given_.find(sources[i])->second);
            else report.kept.push_back(targets[i]->name);
        }
        report.is_in_order = true;
        return true;
    }

    /// A candidate has the missing one's shape where any has; among those the nearest name.
    void find_nearest(LoadReport& report) const {
        constexpr std::size_t most = 100;  // names compared letter by letter: enough to see what is wrong
        for (std::size_t i = 0; i < std::min(most, report.missing.size()); ++i) {
            const Shape& shape = wanted_shapes_.find(report.missing[i])->second;
            std::vector<std::string> alike;
            for (const std::string& name : report.unexpected)
                if (given_shapes_.find(name)->second == shape) alike.push_back(name);
            const auto nearest = nearest_names(report.missing[i], alike.empty() ? report.unexpected : alike, 1);
            if (!nearest.empty()) report.nearest[report.missing[i]] = nearest[0];
        }
    }

    std::string describe(const LoadReport& report) const {
        std::vector<std::string> parts;
        const bool says_missing = !report.missing.empty() && !options_.allow_missing, says_unexpected = !report.unexpected.empty() && !options_.allow_unexpected;
        if (!report.mismatched.empty()) {
            parts.push_back(report.mismatched.front());
            if (report.mismatched.size() > 1) parts.back() += fmt::format(" and {} more of another shape", report.mismatched.size() - 1);
        }
        if (says_missing) parts.push_back("missing " + some(report.missing, wanted_shapes_));
        if (says_unexpected) {
            const auto nearest = says_missing ? report.nearest.find(report.missing.front()) : report.nearest.end();
            const bool is_alike = nearest != report.nearest.end() && given_shapes_.find(nearest->second)->second == wanted_shapes_.find(nearest->first)->second;
            parts.push_back(is_alike ? fmt::format("unexpected '{}' has that shape. Renamed?", nearest->second) : "unexpected " + some(report.unexpected, given_shapes_));
        }
        return fmt::format("load '{}': {}", options_.name, fmt::join(parts, "; "));
    }

    const std::vector<Wanted>& wanted_;
    const LoadOptions& options_;
    std::map<std::string, std::string, std::less<>> given_;  ///< names without prefix -> names in the source
    std::map<std::string, Shape, std::less<>> given_shapes_, wanted_shapes_;
    std::vector<std::string> order_;
};

std::vector<Wanted> wanted_by(const Parameters& target) {
    std::vector<Wanted> wanted;
    for (const std::string& name : target.names()) wanted.push_back({name, target.at(name).shape()});
    return wanted;
}

}  // namespace

LoadReport compare(const Parameters& target, const Parameters& source, const LoadOptions& options) {
    const std::vector<Wanted> wanted = wanted_by(target);
    return Matcher(wanted, source, options).match();
}

LoadReport load_into(Parameters& target, const Parameters& source, const LoadOptions& options) {
    const std::vector<Wanted> wanted = wanted_by(target);
    Matcher matcher(wanted, source, options);
    LoadReport report = matcher.match();
    matcher.check(report);
    for (const auto& [to, from] : report.matched) target.set(to, source.at(from).to(target.at(to).dtype()));
    return report;
}

Parameters parameters_from(const Graph& graph, const Parameters& source, const LoadOptions& options) {
    std::vector<Wanted> wanted;
    for (const ParameterInfo& p : graph.parameters()) wanted.push_back({p.name, p.type.shape});
    Matcher matcher(wanted, source, options);
    const LoadReport report = matcher.match();
    matcher.check(report);
    std::map<std::string_view, std::string_view> from;
    for (const auto& [target, name] : report.matched) from[target] = name;
    Parameters parameters;
    for (const ParameterInfo& p : graph.parameters()) {
        const auto it = from.find(p.name);
        require<FormatError>(it != from.end() || is_counter(p.name), "load '{}': missing '{}' {}", options.name, p.name, p.type.shape);
        parameters.set(p.name, it == from.end() ? Tensor(p.type.shape, p.type.dtype) : source.at(it->second).to(p.type.dtype));
    }
    return parameters;
}

std::vector<std::string> head_of(const Graph& graph) {
    std::vector<std::string> names;
    for (const auto& [name, output] : graph.outputs()) {
        // Back along the first inputs (softmax, pooling, flatten) to the layer that made the scores.
        for (Value value = output; !value.is_empty();) {
            const Node& node = value.node();
            bool has_parameters = false;
            for (const Value& input : node.inputs) {
                if (input.is_empty() || graph.find_parameter(input.path()) == nullptr) continue;
                has_parameters = true;
                if (std::ranges::find(names, input.path()) == names.end()) names.push_back(input.path());
            }
            if (has_parameters || node.inputs.empty()) break;
            value = node.inputs[0];
        }
    }
    return names;
}

}  // namespace fovea
